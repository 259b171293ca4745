"""Cameras from calibration matrices."""

from typing import Any

import numpy as np

from tfds_builders.well_formed import well_formed
from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.camera import Camera


def camera_of_matrix(values: Any, width: int, height: int, name: str) -> Camera:
    """The camera whose calibration matrix is given.

    Args:
        values: [3, 3].
        width: of its images, pixels.
        height: of its images, pixels.
        name: what it is called in an error.

    Raises:
        BadInput: it is no 3x3 matrix of numbers, or not that of a pinhole camera without skew.
    """
    with well_formed(name):
        matrix = np.asarray(values, np.float64).reshape(3, 3)
    (fx, skew, cx), (lower, fy, cy), last = matrix
    if skew or lower or not np.array_equal(last, [0, 0, 1]):
        raise BadInput(
            f"{name}: {matrix.tolist()} is not fx 0 cx, 0 fy cy, 0 0 1; correct it or leave the"
            " view out."
        )
    camera = Camera(float(fx), float(fy), float(cx), float(cy), width, height)
    camera.check(name)
    return camera
