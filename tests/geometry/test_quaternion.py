import math

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.pose import check_rigid
from vlm3_jax.geometry.quaternion import pose_from_wxyz, rotation_from_wxyz


def test_agrees_with_scipy(rng):
    for rotation in Rotation.random(20, rng=rng):
        wxyz = rotation.as_quat(scalar_first=True)
        found = rotation_from_wxyz(wxyz * (1 + 1e-5), "q")
        np.testing.assert_allclose(found, rotation.as_matrix(), atol=1e-12)


def test_a_quarter_turn_about_z_takes_x_to_y():
    half = math.sqrt(0.5)
    pose = pose_from_wxyz([half, 0, 0, half], [1, 2, 3], "p")
    np.testing.assert_allclose(pose @ [1, 0, 0, 1], [1, 3, 3, 1], atol=1e-12)
    check_rigid(pose, "p")


@pytest.mark.parametrize("wxyz", [[0, 0, 0, 0], [2, 0, 0, 0], [math.nan, 0, 0, 1], [1, 0, 0]])
def test_what_is_no_unit_quaternion_is_named(wxyz):
    with pytest.raises(BadInput, match=r"ego 3: .* is no unit quaternion"):
        rotation_from_wxyz(wxyz, "ego 3")


@pytest.mark.parametrize("translation", [[0, 1], [0, math.inf, 1]])
def test_a_wrong_translation_is_named(translation):
    with pytest.raises(BadInput, match="ego 3: the translation"):
        pose_from_wxyz([1, 0, 0, 0], translation, "ego 3")
