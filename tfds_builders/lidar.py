"""Labels of an image from the points that a lidar measured."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.camera import Camera, project

POINTS = 100
"""Labelled in an image, at most, as in DepthLM's sets."""


@dataclass(frozen=True)
class Labelling:
    """Which points label an image, where and with what.

    Attributes:
        label_kind: 'z' or 'euclid'.
        pixels: makes whole pixels of positions, for example `np.floor`; None keeps the positions.
        overlap: which of the points on one pixel stay: the 'nearest' to the image plane, the 'last'
            measured, or 'all'.
    """

    label_kind: str
    pixels: Callable[[np.ndarray], np.ndarray] | None = None
    overlap: str = "nearest"


@dataclass
class LidarConfig(tfds.core.BuilderConfig):
    """A config and how it labels images."""

    labelling: Labelling | None = None


def point_labels(xyz: np.ndarray, camera: Camera, labelling: Labelling, key: str) -> dict[str, Any]:
    """Labels an image by points drawn at random among those in view.

    Args:
        xyz: measured points in the camera's frame (OpenCV axes), metres [N, 3].
        camera: intrinsics.
        labelling: how.
        key: names the image within the dataset; it seeds the draw.

    Returns:
        `points_xy`, `depth_m` and `label_kind` of a depth record.

    Raises:
        BadInput: no point is in view.
    """
    xy, xyz = in_view(xyz, camera, labelling.pixels)
    if labelling.overlap != "all":
        kept = _one_a_pixel(xy, xyz[:, 2], camera, labelling.overlap)
        xy, xyz = xy[kept], xyz[kept]
    if not len(xy):
        raise BadInput(f"{key}: no point of the lidar is in view; leave the image out.")
    chosen = draw(key, len(xy))
    depth = xyz[:, 2] if labelling.label_kind == "z" else np.linalg.norm(xyz, axis=-1)
    return {
        "points_xy": xy[chosen].astype(np.float32),
        "depth_m": depth[chosen].astype(np.float32),
        "label_kind": labelling.label_kind,
    }


def in_view(
    xyz: np.ndarray, camera: Camera, pixels: Callable[[np.ndarray], np.ndarray] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Projects points [N, 3] of the camera's frame and keeps those in front of it in the image.

    Returns:
        Positions [M, 2], from the first pixel's centre to the last one's, and their points [M, 3].
    """
    xy, z = project(camera, xyz)
    front = np.isfinite(xy).all(-1) & np.isfinite(z)
    xy, xyz = xy[front], np.asarray(xyz, np.float64)[front]
    if pixels is not None:
        xy = pixels(xy)
    last = [camera.width - 1, camera.height - 1]
    inside = ((xy >= 0) & (xy <= last)).all(-1)
    return xy[inside] + 0.0, xyz[inside]  # -0.0 becomes 0.0.


def draw(key: str, count: int, points: int = POINTS) -> np.ndarray:
    """Draws at most `points` of `count` indices without repeats; the key decides which."""
    seed = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "little")
    return np.random.default_rng(seed).permutation(count)[:points]


def transform(pose: np.ndarray, xyz: np.ndarray) -> np.ndarray:
    """Applies a rigid matrix [4, 4] to points [N, 3], float64."""
    return np.asarray(xyz, np.float64) @ pose[:3, :3].T + pose[:3, 3]


def _one_a_pixel(xy: np.ndarray, z: np.ndarray, camera: Camera, overlap: str) -> np.ndarray:
    """Indices of the points that stay, in the order of their pixels."""
    column, row = np.rint(xy).astype(np.int64).T
    order = np.arange(len(z))[::-1] if overlap == "last" else np.argsort(z, kind="stable")
    _, first = np.unique((row * camera.width + column)[order], return_index=True)
    return order[first]
