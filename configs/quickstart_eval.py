"""The quickstart's evaluation, on scenes that were not trained on."""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    rooms = {
        "task": "depth",
        "dataset": "synthetic_rooms/quickstart",
        "split": "validation",
        "sampling": {"depth": {"focal": 100.0, "questions_per_image": 5}},
    }
    return ConfigDict(
        {
            "data_dir": "runs/quickstart/data",
            "benchmarks": {"rooms": rooms},
            "swap_images": False,
            "decoding": {"images": 16, "questions": 5, "max_new_tokens": 20},
        }
    )
