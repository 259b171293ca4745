"""Depth at points, as VLM3 was trained: ten questions an image, 32M images.

    python -m vlm3_jax.train --config=configs/depth.py --workdir=DIR \
        --config.data.data_dir=DATA --config.data.name=depthlm_jsonl

The model is Qwen3-VL-4B, the paper's; `--config=configs/depth.py:2B` and `:8B` take others.

A row holds about four samples, so that little of it is padding; the batch size counts rows. A
smaller batch takes less memory; its learning rate follows by the square-root rule:
`--config.batch_size=16 --config.total_steps=500000`.
"""

from ml_collections import ConfigDict

PAPER_BATCH_SIZE = 1344
NUM_SAMPLES = 32_000_000
SAMPLES_PER_ROW = 4


def get_config(size: str = "4B") -> ConfigDict:
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
                "name": "depthlm_jsonl",
                "split": "train",
                "sampling": {"focal": 1000.0, "per_axis": False, "questions_per_image": 10},
                # How the ten questions share an image is not published.
                "questions": "turns",
                # A 1215x920 image is 4408 patches or 1102 tokens, a turn about 125 tokens, an
                # answer about 35 of them. launch/propose_budgets.py fits these to a dataset.
                "open_rows": 16,
                "max_tokens": 9216,
                "max_patches": 16384,
                "max_supervised": 1536,
                "max_sample_tokens": 2560,
                "max_image_patches": 4864,
                "num_workers": 8,
            },
            "optimizer": {
                "learning_rate": 5.5e-5,
                "learning_rate_batch_size": PAPER_BATCH_SIZE // SAMPLES_PER_ROW,
                "warmup_ratio": 0.1,
                "clip_norm": 0.02,
                # Not published: the defaults of PyTorch's AdamW.
                "beta1": 0.9,
                "beta2": 0.999,
                "epsilon": 1e-8,
                "weight_decay": 0.01,
            },
            "mesh": {"replica": 1, "fsdp": -1, "tensor": 1},
            "batch_size": PAPER_BATCH_SIZE // SAMPLES_PER_ROW,
            "total_steps": NUM_SAMPLES // PAPER_BATCH_SIZE,
            "seed": 0,
            "log_every": 10,
            "checkpoint": {"every": 500, "keep": 3},
        }
    )
