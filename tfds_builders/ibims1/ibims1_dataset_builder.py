"""iBims-1: 100 indoor images with laser-scanned depth, all for testing."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from tfds_builders import base, checks, schema
from tfds_builders.items import Item
from tfds_builders.labels import draw_labels
from tfds_builders.raw_files import image_size, read_mask, read_numbers, read_uint16
from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.camera import Camera

NAME = "ibims1"
METRES = 50 / 65535
"""A step of the depth maps."""
MARGIN = 10


class Builder(base.Builder):
    """Builder of ibims1."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar = {"1.0.0": "First release."}
    HOMEPAGE = "https://www.asg.ed.tum.de/lmf/ibims1/"
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Give the folder ibims1_core_raw with imagelist.txt, rgb, depth, mask_invalid, mask_transp "
        "and calib."
    )

    def features(self) -> dict[str, Any]:
        """Depth records."""
        return schema.depth_features()

    def items(self, raw: Path) -> dict[str, list[Item]]:
        """One an image."""
        folders = "rgb", "depth", "mask_invalid", "mask_transp", "calib"
        names = checks.needed(raw, "imagelist.txt", *folders, builder=NAME)
        return {"test": [Item(name) for name in names.read_text("utf-8", "replace").split()]}

    def examples(self, raw: Path, item: Item) -> Iterator[dict[str, Any]]:
        """The image with points of its depth map."""
        name = item.key
        path = raw / "rgb" / f"{name}.png"
        image = checks.read_image(path, str(path))
        camera = Camera(*read_numbers(raw / "calib" / f"{name}.txt", 4), *image_size(image))
        camera.check(f"calib/{name}.txt")
        yield {
            "image": image,
            "intrinsics": camera.to_array(),
            "c2w": schema.NO_POSE,
            **draw_labels(_depth(raw, name), camera, name, kind="z", margin=MARGIN),
            "scale_type": "metric",
            "dataset": NAME,
            "scene": name.split("_")[0],
            "frame": name,
        }


def _depth(raw: Path, name: str) -> np.ndarray:
    """The depth map in metres, 0 where there is none or a mask says that it is not to be used."""
    depth = read_uint16(raw / "depth" / f"{name}.png") * METRES
    for folder in ("mask_invalid", "mask_transp"):
        mask = read_mask(raw / folder / f"{name}.png")
        if mask.shape != depth.shape:
            raise BadInput(f"{folder}/{name}.png is not of the depth map's size; fetch both anew.")
        depth = np.where(mask, depth, 0)
    return depth
