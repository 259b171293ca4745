import math

import numpy as np
import pytest
from hypothesis import given
from scipy.spatial.transform import Rotation

from tests.tasks.texts import UNREADABLE, nonsense, states
from vlm3_jax.geometry.pose import (
    direction_error_degrees,
    from_yaw_pitch_roll,
    rotation_angle_degrees,
    yaw_pitch_roll,
)
from vlm3_jax.tasks import pose

NUM_TRUTHS = 10_000


@pytest.mark.parametrize(
    ("text", "degrees"),
    [
        ("Rotation angle: 89.7 degrees", 89.7),
        ("89.7°", 89.7),
        ("about 89.7 deg.", 89.7),
        ("**45**°", 45),
        ("$45^{\\circ}$", 45),
        ("Rotation angle: 45", 45),
        ("45.", 45),
        ("<answer>45</answer>", 45),
        ("<think> 30 degrees </think> 45 degrees", 45),
        ("270°", 270),
        ("-45", None),
        ("\u221245°", None),
        ("400°", None),
        ("1.5 radians", None),
        ("45 about the y axis", None),
        ("2 views: 45", None),
        ("90° or 45°", None),
        ("Yaw=+89.6°, Pitch=+2.6°, Roll=+6.1°", None),
        ("12,5°", None),
        ("12,5", None),
    ],
)
def test_angles(text, degrees):
    assert pose.parse_angle(text) == degrees


@pytest.mark.parametrize(
    ("text", "angles"),
    [
        ("Yaw=+89.6°, Pitch=+2.6°, Roll=+6.1°", (89.6, 2.6, 6.1)),
        ("yaw: \u221212.5 degrees\npitch: 3 deg\nroll: 0", (-12.5, 3, 0)),
        ("- **Yaw**: 10.0°\n- **Pitch**: -5.0°\n- **Roll**: .5°", (10, -5, 0.5)),
        ("Roll is 3, pitch angle is about 2 and yaw 1.", (1, 2, 3)),
        ("<think> Yaw=1, Pitch=1, Roll=1 </think> Yaw=4, Pitch=5, Roll=6", (4, 5, 6)),
        ("Yaw=4°, Pitch=5°, Roll=6°. So Yaw=4.0°, Pitch=5.0°, Roll=6.0°.", (4, 5, 6)),
        ("Yaw=4°, Pitch=5°", None),
        ("Yaw=4°, Yaw=5°, Pitch=5°, Roll=6°", None),
        ("Yaw=30° left, Pitch=0°, Roll=0°", None),
        ("Yaw=3 to 5°, Pitch=0°, Roll=0°", None),
        ("Yaw=3-5°, Pitch=0°, Roll=0°", None),
        ("Yaw=89,6°, Pitch=2,6°, Roll=6,1°", None),
        ("Yaw=1.2.3°, Pitch=0°, Roll=0°", None),
        ("Yaw=1 rad, Pitch=0, Roll=0", None),
        ("Yaw=1e400°, Pitch=0°, Roll=0°", None),
        ("Yaw=400°, Pitch=0°, Roll=0°", None),
        ("Yaw=\u0663°, Pitch=0°, Roll=0°", None),
        ("4, 5, 6", None),
    ],
)
def test_yaw_pitch_roll(text, angles):
    assert pose.parse_yaw_pitch_roll(text) == angles


@pytest.mark.parametrize(
    ("text", "vector"),
    [
        ("The camera moves left, unit vector (-0.69, +0.02, +0.72).", (-0.69, 0.02, 0.72)),
        ("(\u22121, .5, 0)", (-1, 0.5, 0)),
        ("[1, 2, 3]", (1, 2, 3)),
        ("(x=1, y = 2, z: 3)", (1, 2, 3)),
        ("(1, 0, 0), that is (1.0, 0.0, 0.0)", (1, 0, 0)),
        ("(1, 0, 0) or (0, 1, 0)", None),
        ("(1, 0)", None),
        ("(1, 0, 1e400)", None),
        ("left, forward", None),
        ("<think> (1, 0, 0)", None),
    ],
)
def test_directions(text, vector):
    assert pose.parse_direction(text) == vector


@pytest.mark.parametrize("text", UNREADABLE)
@pytest.mark.parametrize("kind", pose.KINDS)
def test_nothing_is_made_up(kind, text):
    assert pose.parse_answer(kind, text) is None


@given(nonsense)
def test_what_is_read_is_stated(text):
    angle = pose.parse_angle(text)
    assert angle is None or (0 <= angle <= 360 and states(text, angle))
    for values in (pose.parse_yaw_pitch_roll(text), pose.parse_direction(text)):
        for value in values or ():
            assert math.isfinite(value) and states(text, value)
    distance = pose.parse_distance(text)
    assert distance is None or distance >= 0


def test_words_name_the_axes_that_matter():
    def words(*direction, **options):
        text = pose.format_direction(np.array(direction) / np.linalg.norm(direction), **options)
        return text.removeprefix("The camera moves ").partition(", unit")[0]

    assert words(1, 1, 1) == "right, down, forward"
    assert words(-1, -1, -1) == "left, up, backward"
    assert words(0.2, 0, 1) == "forward"
    assert words(0.2, 0, 1, threshold=0.1) == "right, forward"
    assert words(1, 1, -1, threshold=1 / math.sqrt(3)) == "right, down, backward"
    with pytest.raises(ValueError, match="threshold"):
        pose.format_direction((1, 0, 0), threshold=0.6)


def test_zero_is_never_negative():
    assert pose.format_yaw_pitch_roll(-0.04, -0.0, 0.0) == "Yaw=+0.0°, Pitch=+0.0°, Roll=+0.0°"
    assert pose.format_direction((0.999, -0.004, -0.0)).endswith("(+1.00, +0.00, +0.00).")


def test_text_round_trip_of_random_poses(rng):
    for rotation in Rotation.random(NUM_TRUTHS, random_state=0).as_matrix():
        angles = yaw_pitch_roll(rotation)
        read = pose.parse_yaw_pitch_roll(pose.format_yaw_pitch_roll(*angles))
        np.testing.assert_allclose(read, angles, rtol=0, atol=0.05 + 1e-9)
        # Three angles that are each off by half a tenth.
        assert rotation_angle_degrees(from_yaw_pitch_roll(*read).T @ rotation) < 0.15
        angle = rotation_angle_degrees(rotation)
        assert pose.parse_angle(pose.format_angle(angle)) == pytest.approx(angle, abs=0.05 + 1e-9)


def test_text_round_trip_of_random_directions_and_distances(rng):
    vectors = rng.normal(size=(NUM_TRUTHS, 3))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    for vector, distance in zip(vectors, rng.uniform(0, 50, NUM_TRUTHS), strict=True):
        read = pose.parse_direction(pose.format_direction(vector))
        np.testing.assert_allclose(read, vector, rtol=0, atol=0.005 + 1e-9)
        assert direction_error_degrees(read, vector) < 0.5
        text = pose.format_distance(distance)
        assert pose.parse_distance(text) == pytest.approx(distance, abs=0.005 + 1e-9)
