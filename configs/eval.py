r"""Depth at points: delta1 on iBims-1, or any set that `tfds_builders.build` wrote.

python -m vlm3_jax.evaluate --config=configs/eval.py --checkpoint=CKPT --workdir=DIR \
    --config.dataset.data_dir=DATA
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    return ConfigDict(
        {
            "dataset": {"data_dir": "data", "name": "depthlm_jsonl", "split": "test"},
            "sampling": {"focal": 1000.0, "questions_per_image": 10},
            "seed": 0,  # Of the points drawn.
            "swap_images": False,  # True: the control that asks about another view's image.
            "decoding": {"images": 4, "questions": 10, "max_new_tokens": 128},
            "dtype": "auto",  # float32 on a CPU, bfloat16 elsewhere.
            # tensor > 1 is for a model too big for a device.
            "mesh": {"replica": -1, "fsdp": 1, "tensor": 1},
        }
    )
