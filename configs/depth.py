"""Depth at points, as VLM3 was trained: ten questions an image, 32M images.

    python -m vlm3_jax.train --config=configs/depth.py --workdir=DIR --config.data.data_dir=DATA

The model is Qwen3-VL-4B, the paper's; `--config=configs/depth.py:2B` and `:8B` take others. Behind
it may stand how the datasets are weighted and which labels they have: `:4B,uniform,corrected` (see
`configs/mixtures.py`). A dataset that was not built is left out by
`--config.data.sources.waymo.weight=0`, and all are replaced by
`--config.data.sources="{'mine': {'name': 'depthlm_jsonl', 'task': 'depth'}}"`.

A row holds about four samples, so that little of it is padding; the batch size counts rows. A
smaller batch takes less memory; its learning rate follows by the square-root rule:
`--config.batch_size=16 --config.total_steps=500000`.
"""

from ml_collections import ConfigDict

from configs import mixtures
from configs.common import arguments, train_config

DATA = {
    "samplings": {"depth": {"focal": 1000.0, "per_axis": False, "questions_per_image": 10}},
    # A 1215x920 image is 4408 patches or 1102 tokens, a turn about 125 tokens, an answer about 35
    # of them: 2350 tokens a sample. launch/propose_budgets.py fits these to the datasets at hand.
    "max_tokens": 9216,
    "max_patches": 16384,
    "max_supervised": 1536,
    # At f = 1000 a square view of 75 degrees is 1536 pixels wide: 9216 patches, 2304 tokens.
    "max_sample_tokens": 3840,
    "max_image_patches": 9216,
}


def get_config(argument: str = "4B") -> ConfigDict:
    size, weighting, labels = arguments(argument, "4B", "paper", "release_faithful")
    return train_config(
        size,
        data={"sources": mixtures.depth(weighting, labels), **DATA},
        learning_rate=5.5e-5,
        batch_size=1344,
        num_samples=32_000_000,
        samples_per_row=4,
    )
