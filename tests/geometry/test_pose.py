import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.pose import (
    check_rigid,
    direction_error_degrees,
    from_yaw_pitch_roll,
    relative_pose,
    rotation_angle_degrees,
    yaw_pitch_roll,
)

angles = st.floats(-179, 179)


def test_published_sample():
    rotation = from_yaw_pitch_roll(89.60077227, 2.59868437, 6.07232784)
    assert rotation_angle_degrees(rotation) == pytest.approx(89.65473457, abs=1e-6)


@given(yaw=angles, pitch=st.floats(-89, 89), roll=angles)
def test_agrees_with_scipy(yaw, pitch, roll):
    rotation = from_yaw_pitch_roll(yaw, pitch, roll)
    expected = Rotation.from_euler("YXZ", [yaw, pitch, roll], degrees=True)
    np.testing.assert_allclose(rotation, expected.as_matrix(), atol=1e-12)
    np.testing.assert_allclose(yaw_pitch_roll(rotation), [yaw, pitch, roll], atol=1e-6)
    assert rotation_angle_degrees(rotation) == pytest.approx(
        np.degrees(expected.magnitude()), abs=1e-5
    )


def test_signs():
    forward, right = np.array([0, 0, 1]), np.array([1, 0, 0])
    assert (from_yaw_pitch_roll(30, 0, 0) @ forward)[0] > 0  # turns right
    assert (from_yaw_pitch_roll(0, 30, 0) @ forward)[1] < 0  # looks up, y is down
    assert (from_yaw_pitch_roll(0, 0, 30) @ right)[1] > 0  # the right side sinks


@pytest.mark.parametrize("pitch", [90, -90])
def test_straight_up_and_down(pitch):
    rotation = from_yaw_pitch_roll(20, pitch, 35)
    split = yaw_pitch_roll(rotation)
    assert split[1] == pytest.approx(pitch) and split[2] == 0
    np.testing.assert_allclose(from_yaw_pitch_roll(*split), rotation, atol=1e-12)


@pytest.mark.parametrize("angle", [0, 1e-7, 1e-3, 90, 179.9999, 180])
def test_angle_is_accurate_at_its_ends(angle):
    rotation = Rotation.from_rotvec([0, 0, np.radians(angle)]).as_matrix()
    assert rotation_angle_degrees(rotation) == pytest.approx(angle, rel=1e-6, abs=1e-12)


def test_relative_pose(rng):
    c2w = np.tile(np.eye(4), (2, 1, 1))
    c2w[:, :3, :3] = Rotation.random(2, random_state=0).as_matrix()
    c2w[:, :3, 3] = rng.normal(size=(2, 3))
    rotation, translation = relative_pose(*c2w)
    two_to_one = np.linalg.inv(c2w[0]) @ c2w[1]
    np.testing.assert_allclose(rotation, two_to_one[:3, :3], atol=1e-12)
    np.testing.assert_allclose(translation, two_to_one[:3, 3], atol=1e-12)


def test_ten_thousand_random_poses_agree_with_scipy(rng):
    # Random angles rather than random rotations: these would hardly come near the lock.
    angles = rng.uniform([-180, -89.9, -180], [180, 89.9, 180], (10_000, 3))
    expected = Rotation.from_euler("YXZ", angles, degrees=True)
    got = np.array([from_yaw_pitch_roll(*ypr) for ypr in angles])
    np.testing.assert_allclose(got, expected.as_matrix(), atol=1e-14)
    split = np.array([yaw_pitch_roll(rotation) for rotation in got])
    np.testing.assert_allclose(split, angles, rtol=0, atol=1e-9)
    np.testing.assert_allclose(
        np.array([yaw_pitch_roll(rotation) for rotation in expected.as_matrix()]),
        expected.as_euler("YXZ", degrees=True),
        rtol=0,
        atol=1e-9,
    )
    np.testing.assert_allclose(
        [rotation_angle_degrees(rotation) for rotation in got],
        np.degrees(expected.magnitude()),
        rtol=0,
        atol=1e-9,
    )


@pytest.mark.parametrize("short_of", [1e-2, 1e-4, 1e-6, 1e-7, 1e-8, 1e-9, 1e-12])
@pytest.mark.parametrize("sign", [1, -1])
def test_close_to_straight_up_and_down_the_rotation_survives(rng, short_of, sign):
    for yaw, roll in rng.uniform(-180, 180, (50, 2)):
        rotation = Rotation.from_euler(
            "YXZ", [yaw, sign * (90 - short_of), roll], degrees=True
        ).as_matrix()
        again = from_yaw_pitch_roll(*yaw_pitch_roll(rotation))
        np.testing.assert_allclose(again, rotation, rtol=0, atol=1e-9)


def test_direction_error_agrees_with_the_published_formula(rng):
    # VGGT and MapAnything: arccos of the root of 1 - (1 - (t . t')^2), in 0 to 90 degrees.
    for a, b in rng.normal(size=(1000, 2, 3)):
        dot = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
        signed = direction_error_degrees(a * 1e3, b * 1e-3)
        assert signed == pytest.approx(np.degrees(np.arccos(dot)), abs=1e-5)
        unsigned = np.degrees(np.arccos(np.sqrt(1 - (1 - dot**2))))
        assert direction_error_degrees(a, b, signed=False) == pytest.approx(unsigned, abs=1e-5)


def test_direction_error_at_its_ends():
    x = np.array([1.0, 0, 0])
    assert direction_error_degrees(x, -x) == 180
    assert direction_error_degrees(x, -x, signed=False) == 0
    assert direction_error_degrees(x, [1, 1e-9, 0]) == pytest.approx(np.degrees(1e-9))
    assert direction_error_degrees(1e300 * x, [1e-300, 1e-300, 0]) == pytest.approx(45)
    for signed in (True, False):
        assert direction_error_degrees(x, [0, 0, 0], signed=signed) == 90
        assert direction_error_degrees([0, 0, 0], x, signed=signed) == 90
        assert direction_error_degrees(x, [np.nan, 0, 1], signed=signed) == np.inf
        assert direction_error_degrees([np.inf, 0, 0], x, signed=signed) == np.inf


def pose(place: tuple[int, int] = (0, 3), value: float = 1) -> np.ndarray:
    c2w = np.eye(4)
    c2w[:3, :3] = from_yaw_pitch_roll(30, -20, 5)
    c2w[:3, 3] = 1, 2, 3
    c2w[place] = value
    return c2w


def test_a_pose_from_text_is_rigid():
    check_rigid(pose().round(4), "a")
    check_rigid(pose().astype(np.float32), "a")


@pytest.mark.parametrize(
    ("c2w", "message"),
    [
        (pose()[:3], "a is no 4x4 matrix of finite numbers"),
        (pose((0, 3), np.nan), "a is no 4x4 matrix of finite numbers"),
        (pose() * [[-1], [1], [1], [1]], "determinant -1 "),
        (pose() * [[1.01], [1.01], [1.01], [1]], "determinant 1.03 and is orthogonal up to 0.02 "),
        (pose((0, 1), 0.3), "a is not rigid: its rotation"),
        (pose((3, 0), 1), r"its last row is \[1.0, 0.0, 0.0, 1.0\]"),
        (pose().T, "its last row is"),
    ],
)
def test_what_is_not_rigid(c2w, message):
    with pytest.raises(BadInput, match=message):
        check_rigid(c2w, "a")
