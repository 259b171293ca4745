"""Questions about regions of an image, as VLM3 was trained: 1M samples.

    python -m vlm3_jax.train --config=configs/objects.py --workdir=DIR --config.data.data_dir=DATA

`configs/objects.py:8B` takes another model. What `configs/depth.py` says of datasets and batch
sizes holds here too.
"""

from ml_collections import ConfigDict

from configs import mixtures
from configs.common import arguments, train_config

DATA = {
    # How many questions share an image is not published.
    "samplings": {"objects": {"focal": 1000.0, "per_axis": False, "questions_per_image": 10}},
    # A 1134x851 image is 3888 patches or 972 tokens; a turn with two boxes in question and answer
    # has about 160 tokens, 65 of them in the answer: 2600 tokens a sample, of which four take
    # 10,400 tokens and 15,600 patches.
    "max_tokens": 10752,
    "max_patches": 17408,
    "max_supervised": 3072,
    "max_sample_tokens": 4864,
    "max_image_patches": 9216,
}


def get_config(argument: str = "4B") -> ConfigDict:
    size, weighting = arguments(argument, "4B", "paper")
    return train_config(
        size,
        data={"sources": mixtures.objects(weighting), **DATA},
        learning_rate=3.5e-4,
        batch_size=640,
        num_samples=1_000_000,
        samples_per_row=4,
    )
