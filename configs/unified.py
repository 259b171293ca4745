"""One model for four tasks. Nobody has published such a training: rates and weights are ours.

    python -m vlm3_jax.train --config=configs/unified.py --workdir=DIR --config.data.data_dir=DATA

`configs/unified.py:8B,uniform` takes another model and other weights of the datasets within their
tasks; `--config.data.task_weights.pose=0.4` changes the tasks' own. A task with weight 0 is left
out. What `configs/depth.py` says of datasets and batch sizes holds here too; a label has its task
before it: `--config.data.sources.depth_waymo.weight=0`.
"""

from ml_collections import ConfigDict

from configs import correspondence, depth, mixtures, objects, pose
from configs.common import arguments, train_config


def get_config(argument: str = "4B") -> ConfigDict:
    size, weighting = arguments(argument, "4B", "paper")
    samplings = {}
    for module in (depth, correspondence, pose, objects):
        samplings |= module.DATA["samplings"]
    return train_config(
        size,
        data={
            "sources": mixtures.together(
                mixtures.depth(weighting),
                mixtures.correspondence(weighting),
                mixtures.pose(weighting),
                mixtures.objects(weighting),
            ),
            "task_weights": {"depth": 0.4, "correspondence": 0.3, "pose": 0.2, "objects": 0.1},
            "samplings": samplings,
            # By these weights a sample has about 2300 tokens and 5300 patches, so six take 13,800
            # tokens and 31,800 patches; the widest pair alone takes 41,772 patches (see pose).
            "max_tokens": 16384,
            "max_patches": 43008,
            "max_supervised": 3584,
            "max_sample_tokens": 11264,
            "max_image_patches": 20992,
        },
        learning_rate=5e-5,
        batch_size=1344,
        num_samples=40_000_000,
        samples_per_row=6,
    )
