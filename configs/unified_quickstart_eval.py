"""The evaluation of `configs/unified_quickstart.py`, on scenes that were not trained on."""

from ml_collections import ConfigDict


def _rooms(task: str, dataset: str, **sampling) -> dict:
    return {
        "task": task,
        "dataset": f"synthetic_rooms/{dataset}",
        "split": "validation",
        "sampling": {task: sampling},
    }


def get_config() -> ConfigDict:
    return ConfigDict(
        {
            "data_dir": "runs/unified/data",
            "benchmarks": {
                "rooms_depth": _rooms("depth", "quickstart", focal=100.0, questions_per_image=5),
                "rooms_correspondence": _rooms(
                    "correspondence", "quickstart_pairs", longer_side=128, questions_per_pair=5
                ),
                "rooms_pose": _rooms("pose", "quickstart_pairs", focal=100.0),
                "rooms_objects": _rooms(
                    "objects", "quickstart_regions", focal=100.0, questions_per_image=8
                ),
            },
            "swap_images": False,
            "decoding": {"images": 16, "questions": 5, "max_new_tokens": 48},
        }
    )
