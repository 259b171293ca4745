"""Pixels carried to another image size, and named by integers in text."""

import numpy as np

from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.camera import Camera


def check_points(xy: np.ndarray, width: int, height: int) -> None:
    """Raises BadInput that names the first of the pixels [N, 2] that is outside the image."""
    xy = np.asarray(xy, np.float64)
    for x, y in xy[~((xy >= 0) & (xy < (width, height))).all(axis=1)]:
        raise BadInput(
            f"the point ({x:g}, {y:g}) is outside the image of {width}x{height} pixels:"
            f" x must be in 0 to {width - 1} and y in 0 to {height - 1}."
        )


def scale_points(xy: np.ndarray, source: Camera, target: Camera) -> np.ndarray:
    """Carries pixels of `source` into `target`, its focal-unified camera.

    The product is cut to a whole pixel, as DepthLM and VLM3 do, and clipped into the target image,
    whose cut size can otherwise leave a point of the last row or column outside.

    Args:
        xy: pixels of the source image, [N, 2].
        source: camera of the image that `xy` refer to.
        target: the same camera after `unify_focal`.

    Returns:
        Whole pixels of the target image, int64 [N, 2].
    """
    scale = np.array([target.fx / source.fx, target.fy / source.fy])
    scaled = (np.asarray(xy, np.float64) * scale).astype(np.int64)
    return np.clip(scaled, 0, [target.width - 1, target.height - 1])


def normalize_point(x: float, y: float, width: int, height: int, scale: int) -> tuple[int, int]:
    """Names a pixel by two integers in 0..scale, rounded half to even."""
    return _normalize(x, width, scale), _normalize(y, height, scale)


def _normalize(value: float, size: int, scale: int) -> int:
    return min(max(round(float(value) / size * scale), 0), scale)
