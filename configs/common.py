"""What the paper's four trainings have in common."""

from typing import Any

from ml_collections import ConfigDict


def arguments(argument: str, *defaults: str) -> tuple[str, ...]:
    """What follows a file's name, `configs/depth.py:8B,uniform`, filled up with defaults."""
    given = argument.split(",")
    if len(given) > len(defaults):
        raise ValueError(f"{argument!r} has {len(given)} parts, but there are {len(defaults)}.")
    return (*given, *defaults[len(given) :])


def train_config(
    size: str,
    *,
    data: dict[str, Any],
    learning_rate: float,
    batch_size: int,
    num_samples: int,
    samples_per_row: int,
) -> ConfigDict:
    """A run of Qwen3-VL with the settings that all tasks share.

    Args:
        size: of the model: 2B, 4B, 8B or 32B.
        data: sources, how they are asked, and the budgets of a row.
        learning_rate: for `batch_size`; another number of rows scales it by the square root.
        batch_size: samples an update.
        num_samples: of the whole run.
        samples_per_row: about as many fill a row; rows are what the run counts.
    """
    rows = batch_size // samples_per_row
    return ConfigDict(
        {
            "model": {
                "checkpoint": f"Qwen/Qwen3-VL-{size}-Instruct",
                "init": "checkpoint",
                "compute_dtype": "bfloat16",
                "remat": {"text": "full", "vision": "full"},
            },
            "data": {
                "data_dir": "data",
                # How the questions share an image is not published.
                "questions": "turns",
                "open_rows": 16,
                "num_workers": 8,
                **data,
            },
            "optimizer": {
                "learning_rate": learning_rate,
                "learning_rate_batch_size": rows,
                "warmup_ratio": 0.1,
                "clip_norm": 0.02,
                # Not published: the defaults of PyTorch's AdamW.
                "beta1": 0.9,
                "beta2": 0.999,
                "epsilon": 1e-8,
                "weight_decay": 0.01,
            },
            "mesh": {"replica": 1, "fsdp": -1, "tensor": 1},
            "batch_size": rows,
            "total_steps": num_samples // batch_size,
            "seed": 0,
            "log_every": 10,
            "checkpoint": {"every": 500, "keep": 3},
        }
    )
