"""How the camera moved between two images, as VLM3 was trained: four questions a pair, 10M pairs.

    python -m vlm3_jax.train --config=configs/pose.py --workdir=DIR --config.data.data_dir=DATA

`configs/pose.py:8B,uniform` takes another model and other weights of the datasets. What
`configs/depth.py` says of datasets and batch sizes holds here too.
"""

from ml_collections import ConfigDict

from configs import mixtures
from configs.common import arguments, train_config

DATA = {
    "samplings": {"pose": {"focal": 750.0, "per_axis": False}},  # All questions of a pair.
    # At f = 750 a view of 67 degrees is 1000x750: 3072 patches or 768 tokens. Four turns have about
    # 450 tokens, 85 of them in answers, so such a pair takes 2000. The widest images, of ScanNet++,
    # are 2830x1884, 20,886 patches: one pair of them takes 41,772 patches and 10,900 tokens, which
    # a row must hold.
    "max_tokens": 12288,
    "max_patches": 43008,
    "max_supervised": 768,
    "max_sample_tokens": 11264,
    "max_image_patches": 20992,
}


def get_config(argument: str = "4B") -> ConfigDict:
    size, weighting = arguments(argument, "4B", "paper")
    return train_config(
        size,
        data={"sources": mixtures.pose(weighting), **DATA},
        learning_rate=5e-5,
        batch_size=448,
        num_samples=10_000_000,
        samples_per_row=4,
    )
