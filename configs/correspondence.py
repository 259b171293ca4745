"""Corresponding pixels of two images, as VLM3 was trained: ten questions a pair, 80M pairs.

    python -m vlm3_jax.train --config=configs/correspondence.py --workdir=DIR \
        --config.data.data_dir=DATA

`configs/correspondence.py:8B,uniform` takes another model and other weights of the datasets. What
`configs/depth.py` says of datasets and batch sizes holds here too.
"""

from ml_collections import ConfigDict

from configs import mixtures
from configs.common import arguments, train_config

DATA = {
    "samplings": {
        "correspondence": {
            "longer_side": 1024,
            "questions_per_pair": 10,
            # Not published.
            "directions": "forward",
            "think": False,
        }
    },
    # Two 1024x768 images are 6144 patches or 1536 tokens, a turn about 65 tokens, an answer about
    # 11 of them: 2200 tokens a sample, of which four take 8800 tokens and 24,600 patches.
    "max_tokens": 9216,
    "max_patches": 27648,
    "max_supervised": 640,
    # Two square images: 2 x 1024 tokens; none has more than 4096 patches.
    "max_sample_tokens": 3072,
    "max_image_patches": 4096,
}


def get_config(argument: str = "4B") -> ConfigDict:
    size, weighting = arguments(argument, "4B", "paper")
    return train_config(
        size,
        data={"sources": mixtures.correspondence(weighting), **DATA},
        learning_rate=2e-5,
        batch_size=2816,
        num_samples=80_000_000,
        samples_per_row=4,
    )
