"""NYU Depth v2: the 1,449 labelled indoor images, as SUN RGB-D has them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import tensorflow_datasets as tfds
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from tfds_builders import base, checks, schema
from tfds_builders.items import Item
from tfds_builders.sun_rgbd.frames import Configs, frame_folders, read_frame
from vlm3_jax.errors import BadInput

NAME = "nyu_v2"
FRAMES = "kv1/NYUdata"
SPLITS = {"train": "trainNdxs", "test": "testNdxs"}


class Builder(Configs, base.Builder):
    """Builder of nyu_v2."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar = {"1.0.0": "First release."}
    HOMEPAGE = "https://cs.nyu.edu/~fergus/datasets/nyu_depth_v2.html"
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Give the folder SUNRGBD of SUNRGBD.zip, with kv1/NYUdata, and NYUv2's splits.mat in it."
    )

    def features(self) -> dict[str, Any]:
        """Depth records."""
        return schema.depth_features()

    def items(self, raw: Path) -> dict[str, list[Item]]:
        """One a frame."""
        folder = checks.needed(raw, FRAMES, builder=NAME)
        if self.builder_config.name == "release_faithful":
            return {"test": [Item(frame.name) for frame in frame_folders(folder)]}
        numbers = _split_numbers(checks.needed(raw, "splits.mat", builder=NAME))
        return {split: [Item(f"NYU{n:04d}") for n in numbers[split]] for split in SPLITS}

    def examples(self, raw: Path, item: Item) -> Iterator[dict[str, Any]]:
        """The frame with points of its raw depth map."""
        names = {"dataset": NAME, "scene": "NYUdata", "frame": item.key}
        config = self.builder_config.name
        yield read_frame(raw / FRAMES / item.key, item.key, "depth", config) | names


def _split_numbers(path: Path) -> dict[str, list[int]]:
    """Numbers of each split's frames, from 1."""
    try:
        content = loadmat(path)
        return {split: content[name].ravel().tolist() for split, name in SPLITS.items()}
    except (MatReadError, ValueError, TypeError, KeyError, NotImplementedError) as error:
        raise BadInput(
            f"{path} holds no {' and '.join(SPLITS.values())} ({error}); fetch it anew."
        ) from error
