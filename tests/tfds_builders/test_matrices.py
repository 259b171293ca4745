import math

import pytest

from tfds_builders.matrices import camera_of_matrix
from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.camera import Camera


def test_numbers_are_where_they_belong():
    camera = camera_of_matrix([[50, 0, 31], [0, 51, 23], [0, 0, 1]], 64, 48, "a")
    assert camera == Camera(50, 51, 31, 23, 64, 48)


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        ([], "a is damaged or of another format"),
        (None, "a is damaged or of another format"),
        ([["x"] * 3] * 3, "a is damaged or of another format"),
        ([[50, 1, 31], [0, 51, 23], [0, 0, 1]], "is not fx 0 cx, 0 fy cy, 0 0 1"),
        ([[50, 0, 0], [0, 51, 0], [31, 23, 1]], "is not fx 0 cx, 0 fy cy, 0 0 1"),
        ([[-50, 0, 31], [0, 51, 23], [0, 0, 1]], "fx is -50"),
        ([[50, 0, math.nan], [0, 51, 23], [0, 0, 1]], "not finite"),
    ],
)
def test_another_matrix_is_named(matrix, message):
    with pytest.raises(BadInput, match=message):
        camera_of_matrix(matrix, 64, 48, "a")
