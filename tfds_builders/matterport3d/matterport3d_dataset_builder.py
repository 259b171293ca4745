"""Matterport3D: undistorted colour images of 90 buildings with depth and poses."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds
from absl import logging

from tfds_builders import base, checks, schema
from tfds_builders.items import Bad, Item, attempt, reason
from tfds_builders.labels import draw_labels
from tfds_builders.matterport3d.conf import Scan, read_scans
from tfds_builders.raw_files import image_size, read_uint16
from tfds_builders.scene_splits import split_items
from vlm3_jax.errors import BadInput

NAME = "matterport3d"
LISTS = {
    "train": "scenes_train.txt",
    "validation": "scenes_val.txt",
    "test": "scenes_test.txt",
}
CAMERAS, COLOURS, DEPTHS = (
    f"undistorted_{part}" for part in ("camera_parameters", "color_images", "depth_images")
)
STEPS_PER_METRE = 4000
NEAREST_M, FARTHEST_M = 0.05, 50.0
"""DepthLM labels what lies between, and takes images with depth at some pixels only."""
LEAST_PIXELS = 50


class Builder(base.Builder):
    """Builder of matterport3d."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar = {"1.0.0": "First release."}
    HOMEPAGE = "https://niessner.github.io/Matterport/"
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Give the folder of the houses, each with undistorted_camera_parameters, "
        "undistorted_color_images and undistorted_depth_images, and put scenes_train.txt, "
        "scenes_val.txt and scenes_test.txt in it."
    )
    BUILDER_CONFIGS: ClassVar = [
        tfds.core.BuilderConfig(
            name="release_faithful",
            description="As DepthLM's script: a principal point that counts y from below.",
        ),
        tfds.core.BuilderConfig(name="corrected", description="The principal point turned over."),
    ]

    def features(self) -> dict[str, Any]:
        """Depth records."""
        return schema.depth_features()

    def items(self, raw: Path) -> dict[str, list[Item | Bad]]:
        """One a house."""
        checks.needed(raw, *LISTS.values(), f"*/{CAMERAS}", builder=NAME)
        split_of = {
            house: split
            for split, name in LISTS.items()
            for house in (raw / name).read_text().split()
        }
        houses = sorted(path.name for path in raw.iterdir() if (path / CAMERAS).is_dir())
        where = ", ".join(LISTS.values())
        return split_items(houses, split_of, where, lambda house: [_item(raw, house)])

    def examples(self, raw: Path, item: Item) -> Iterator[dict[str, Any] | Bad]:
        """The house's images with points of their depth maps."""
        sparse = 0
        for scan in read_scans(_cameras(raw, item.key)):
            frame = Path(scan.color).stem
            key = f"{item.key}/{frame}"
            made = attempt(key, _example, raw, key, scan, self.builder_config.name)
            if made is None:
                sparse += 1
            else:
                yield made
        if sparse:
            logging.info("%s: %d images with hardly any depth are left out.", item.key, sparse)


def _item(raw: Path, house: str) -> Item | Bad:
    try:
        scans = read_scans(_cameras(raw, house))
        checks.not_empty(scans, f"the images of house {house}")
    except (BadInput, OSError) as error:
        return Bad(house, reason(error))
    return Item(house, records=len(scans))


def _cameras(raw: Path, house: str) -> Path:
    return raw / house / CAMERAS / f"{house}.conf"


def _example(raw: Path, key: str, scan: Scan, config: str) -> dict[str, Any] | None:
    house, _, frame = key.partition("/")
    path = checks.inside(raw / house / COLOURS, scan.color, key)
    image = checks.read_image(path, str(path))
    camera = scan.camera(*image_size(image), config)
    depth = read_uint16(checks.inside(raw / house / DEPTHS, scan.depth, key)) / STEPS_PER_METRE
    if np.count_nonzero(depth) < LEAST_PIXELS:
        return None
    depth = np.where((depth >= NEAREST_M) & (depth <= FARTHEST_M), depth, 0)
    return {
        "image": image,
        "intrinsics": camera.to_array(),
        "c2w": scan.c2w(),
        **draw_labels(depth, camera, key, kind="euclid"),
        "scale_type": "metric",
        "dataset": NAME,
        "scene": house,
        "frame": frame,
    }
