"""One tiny model learns all four tasks on two CPU cores: `configs/unified.py` in small.

python -m launch.make_model --size=tiny --tasks=depth,correspondence,pose,objects \
        --dst=runs/unified/untrained
for set in quickstart quickstart_pairs quickstart_regions; do
python -m tfds_builders.build synthetic_rooms/$set --data_dir=runs/unified/data
done
python -m vlm3_jax.train --config=configs/unified_quickstart.py --workdir=runs/unified/train
python -m vlm3_jax.evaluate --config=configs/unified_quickstart_eval.py \
        --checkpoint=runs/unified/train --workdir=runs/unified/eval
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    return ConfigDict(
        {
            "model": {
                "checkpoint": "runs/unified/untrained",
                "compute_dtype": "float32",
                "remat": {"text": "none", "vision": "none"},
            },
            "data": {
                "data_dir": "runs/unified/data",
                "sources": {
                    "views": {"name": "synthetic_rooms/quickstart", "task": "depth"},
                    "matches": {
                        "name": "synthetic_rooms/quickstart_pairs",
                        "task": "correspondence",
                    },
                    "moves": {"name": "synthetic_rooms/quickstart_pairs", "task": "pose"},
                    "regions": {"name": "synthetic_rooms/quickstart_regions", "task": "objects"},
                },
                "task_weights": {"depth": 0.5, "correspondence": 1.0, "pose": 1.5, "objects": 3.0},
                "samplings": {
                    "depth": {"focal": 100.0},
                    "correspondence": {"longer_side": 128},
                    "pose": {"focal": 100.0},
                    "objects": {"focal": 100.0, "questions_per_image": 4},
                },
                # Each question sees the images and itself alone, as at evaluation.
                "questions": "independent",
                "open_rows": 8,
                "max_tokens": 1024,
                "max_patches": 352,
                "max_supervised": 512,
                "max_sample_tokens": 384,
                "max_image_patches": 48,
            },
            "optimizer": {
                "learning_rate": 2e-3,
                "warmup_ratio": 0.05,
                "beta2": 0.99,
                "clip_norm": 1.0,
            },
            "total_steps": 6000,
            "batch_size": 2,
            "log_every": 100,
            "checkpoint": {"every": 6000, "keep": 1},
        }
    )
