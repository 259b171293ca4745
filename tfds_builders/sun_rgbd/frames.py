"""Reads frames of SUN RGB-D, of which NYUv2's are a part: a folder each, with image and depth."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from tfds_builders import checks, schema
from tfds_builders.labels import draw_labels
from tfds_builders.raw_files import image_size, read_numbers, read_uint16
from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.camera import Camera

NEAREST_M, FARTHEST_M = 0.005, 25.0
"""DepthLM labels what lies strictly between."""


class Configs:
    """The two ways to read a depth map, as TFDS configs of a builder."""

    BUILDER_CONFIGS: ClassVar = [
        tfds.core.BuilderConfig(
            name="release_faithful",
            description="As DepthLM's scripts make it: depths are 0.8 times the true ones.",
        ),
        tfds.core.BuilderConfig(
            name="corrected", description="Depths as SUN RGB-D's own toolbox reads them."
        ),
    ]


def metres(steps: np.ndarray, config: str) -> np.ndarray:
    """Turns a depth map's values, uint16, into metres, float64; 0 where there is no depth.

    Args:
        steps: of a file.
        config: 'corrected' rotates the bits to the right by three and takes millimetres
            (depthRead.m of SUN3Dsfm); 'release_faithful' divides by 10,000.
    """
    if config == "release_faithful":
        return steps / 10_000
    return ((steps >> 3) | (steps << 13)) / 1000


def frame_folders(folder: Path) -> Iterator[Path]:
    """Finds the frames at any depth below a folder, in order, broken ones among them."""
    if any((folder / part).exists() for part in ("image", "intrinsics.txt")):
        yield folder
        return
    for child in sorted(folder.iterdir()):
        if child.is_dir():
            yield from frame_folders(child)


def read_frame(folder: Path, key: str, depth: str, config: str) -> dict[str, Any]:
    """Reads a frame.

    Args:
        folder: of the frame.
        key: names it; its points follow from it.
        depth: folder of the depth map, 'depth' for the raw one, 'depth_bfx' for the filled one.
        config: see `metres`.

    Returns:
        A record but for `dataset`, `scene` and `frame`.

    Raises:
        BadInput: a file is missing or not usable.
    """
    path = _only(folder / "image", "*.jpg")
    image = checks.read_image(path, str(path))
    camera = _camera(folder / "intrinsics.txt", *image_size(image))
    depth_m = metres(read_uint16(_only(folder / depth, "*.png")), config)
    depth_m = np.where((depth_m > NEAREST_M) & (depth_m < FARTHEST_M), depth_m, 0)
    return {
        "image": image,
        "intrinsics": camera.to_array(),
        "c2w": schema.NO_POSE,
        **draw_labels(depth_m, camera, key, kind="euclid"),
        "scale_type": "metric",
    }


def _camera(path: Path, width: int, height: int) -> Camera:
    matrix = np.reshape(read_numbers(path, 9), (3, 3))
    fx, fy, (cx, cy) = matrix[0, 0], matrix[1, 1], matrix[:2, 2]
    camera = Camera(float(fx), float(fy), float(cx), float(cy), width, height)
    if not np.array_equal(matrix, camera.matrix):
        raise BadInput(
            f"{path} is no calibration matrix fx 0 cx, 0 fy cy, 0 0 1; fetch the frame anew."
        )
    camera.check(str(path))
    return camera


def _only(folder: Path, pattern: str) -> Path:
    files = list(folder.glob(pattern))
    if len(files) != 1:
        raise BadInput(f"{folder} has {len(files)} files {pattern} instead of one; fetch it anew.")
    return files[0]
