"""A training step small enough for CPUs: 100M parameters, one row of about three samples.

python -m launch.make_model --size=100m --dst=runs/bench/model
python -m tfds_builders.build synthetic_rooms/views --data_dir=runs/bench/data
python -m launch.bench_train --config=configs/bench_cpu.py
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    return ConfigDict(
        {
            "model": {
                "checkpoint": "runs/bench/model",
                "compute_dtype": "float32",
                "remat": {"text": "none", "vision": "none"},
            },
            "data": {
                "data_dir": "runs/bench/data",
                "sources": {"rooms": {"name": "synthetic_rooms/views", "task": "depth"}},
                "samplings": {"depth": {"focal": 260.0, "questions_per_image": 4}},
                "open_rows": 4,
                "max_tokens": 1664,
                "max_patches": 896,
                "max_supervised": 384,
                "max_sample_tokens": 640,
                "max_image_patches": 640,
            },
            "optimizer": {"learning_rate": 1e-5, "clip_norm": 1.0},
            "batch_size": 1,
            "total_steps": 100,
        }
    )
