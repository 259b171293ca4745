"""Labelled points of a single view, drawn at random from its depth map."""

import hashlib
from typing import Any

import numpy as np

from tfds_builders import checks
from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.camera import Camera, euclid_from_z

POINTS = 100
"""Of an image, as DepthLM's scripts draw."""


def draw_labels(
    depth: np.ndarray, camera: Camera, key: str, kind: str, margin: int = 0
) -> dict[str, Any]:
    """Draws up to `POINTS` pixels that have a depth.

    Args:
        depth: along the optical axis, metres, [H, W]; 0 where there is none.
        camera: intrinsics of the image.
        key: names the view; the points follow from it, and it stands in errors.
        kind: of the labels, 'z' or 'euclid', to which depths are turned.
        margin: rows and columns along the border that no point is in.

    Returns:
        `points_xy`, `depth_m` and `label_kind` of `schema.depth_features`.

    Raises:
        BadInput: the depth map is not of the image's size, not finite, negative, or empty.
    """
    checks.check_depth_map(depth, camera, f"the depth map of {key}")
    points = draw_pixels(depth > 0, key, margin)
    depths = depth[points[:, 1], points[:, 0]]
    if kind == "euclid":
        depths = euclid_from_z(camera, points, depths)
    return {
        "points_xy": points.astype(np.float32),
        "depth_m": depths.astype(np.float32),
        "label_kind": kind,
    }


def draw_pixels(valid: np.ndarray, key: str, margin: int = 0, count: int = POINTS) -> np.ndarray:
    """Draws up to `count` different pixels of a mask [H, W] at random, the same ones for a key.

    Returns:
        x, y a row, int64 [N, 2].

    Raises:
        BadInput: the mask has none that is `margin` away from the border.
    """
    height, width = valid.shape
    inner = valid[margin : height - margin, margin : width - margin]
    places = np.flatnonzero(inner)
    if not len(places):
        raise BadInput(f"{key} has no usable pixel {margin} pixels from the border; leave it out.")
    rng = np.random.default_rng(list(hashlib.sha256(key.encode()).digest()))
    chosen = rng.choice(places, min(count, len(places)), replace=False)
    return np.stack([chosen % inner.shape[1], chosen // inner.shape[1]], axis=-1) + margin
