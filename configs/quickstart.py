"""The quickstart's training: a Qwen3-VL of 1.4M parameters learns depth on two CPU cores."""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    return ConfigDict(
        {
            "model": {
                "checkpoint": "runs/quickstart/untrained",
                "compute_dtype": "float32",
                "remat": {"text": "none", "vision": "none"},
            },
            "data": {
                "data_dir": "runs/quickstart/data",
                "sources": {"rooms": {"name": "synthetic_rooms/quickstart", "task": "depth"}},
                "samplings": {"depth": {"focal": 100.0, "questions_per_image": 10}},
                # Each question sees the image and itself alone, as at evaluation.
                "questions": "independent",
                "max_tokens": 288,
                "max_patches": 48,
                "max_supervised": 160,
            },
            "optimizer": {
                "learning_rate": 2e-3,
                "warmup_ratio": 0.05,
                "beta2": 0.99,
                "clip_norm": 1.0,
            },
            "total_steps": 800,
            "batch_size": 4,
            "log_every": 100,
            "checkpoint": {"every": 800, "keep": 1},
        }
    )
