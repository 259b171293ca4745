import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from vlm3_jax.geometry.pose import from_yaw_pitch_roll
from vlm3_jax.tasks import pose

# VLM3's published sample (method.md section 4).
ANGLES = (89.60077227, 2.59868437, 6.07232784)
EULER = (
    "Treating the first image as the reference viewpoint, describe the camera's reorientation "
    "needed to reach the second image's viewpoint as yaw, pitch and roll about the first camera's "
    "local axes, applied intrinsically in the order yaw -> pitch -> roll.  Conventions: yaw is "
    "rotation about the vertical (down) axis, positive = turn right; pitch is about the lateral "
    "(right) axis after yaw, positive = look up; roll is about the optical (forward) axis after "
    "yaw and pitch, positive = bank to the right (image content rotates clockwise from the "
    "operator's POV)."
)


def sample() -> tuple[np.ndarray, np.ndarray]:
    c2w_1, c2w_2 = np.eye(4), np.eye(4)
    c2w_2[:3, :3] = from_yaw_pitch_roll(*ANGLES)
    c2w_2[:3, 3] = 1.9806591332884265 * np.array([-0.69, 0.02, 0.7236]) / 1.0000
    c2w_2[:3, 3] *= 1.9806591332884265 / np.linalg.norm(c2w_2[:3, 3])
    world = np.eye(4)
    world[:3, :3] = Rotation.from_euler("YXZ", [30, -20, 10], degrees=True).as_matrix()
    world[:3, 3] = 3, -2, 1
    return world @ c2w_1, world @ c2w_2


def test_the_published_sample_whole():
    angle, angles, direction, distance = pose.ask(*sample(), metric=True)
    assert [question.kind for question in (angle, angles, direction, distance)] == list(pose.KINDS)
    assert angle.prompt == (
        "Given these two images captured from different viewpoints, what is the relative rotation "
        "angle (in degrees) between the two camera poses?"
    )
    assert angle.answer == "Rotation angle: 89.7 degrees"
    assert angle.truth == (pytest.approx(89.65473457, abs=1e-6),)
    assert angles.prompt == EULER
    assert angles.answer == "Yaw=+89.6°, Pitch=+2.6°, Roll=+6.1°"
    assert angles.truth == pytest.approx(ANGLES, abs=1e-6)
    assert direction.prompt == (
        "Where did the camera move, expressed in the first camera's local frame (X right, Y down, "
        "Z forward)?  Give a qualitative direction and the precise unit direction vector (x, y, z)."
    )
    assert direction.answer == "The camera moves left, forward, unit vector (-0.69, +0.02, +0.72)."
    assert np.linalg.norm(direction.truth) == pytest.approx(1)
    assert distance.prompt == (
        "Estimate the magnitude of the camera translation between the two viewpoints."
    )
    assert distance.answer == "Translation distance: 1.98 meters"
    assert distance.truth == (pytest.approx(1.9806591332884265),)


def test_what_cannot_be_stated_is_not_asked():
    first, second = sample()
    kinds = [question.kind for question in pose.ask(first, second, metric=False)]
    assert kinds == ["angle", "yaw_pitch_roll", "direction"]
    second[:3, 3] = first[:3, 3]
    assert [question.kind for question in pose.ask(first, second, metric=True)] == [
        "angle",
        "yaw_pitch_roll",
        "distance",
    ]


def test_there_are_five_wordings_of_our_own_beside_the_released_one():
    for kind in pose.KINDS:
        wordings = pose.WORDINGS[kind]
        assert wordings[0] == pose.RELEASED[kind]
        assert len(set(wordings)) == len(wordings) >= 6
    conventions = EULER[EULER.index("Conventions") :]
    assert all(wording.endswith(conventions) for wording in pose.WORDINGS["yaw_pitch_roll"])


def test_training_draws_all_wordings_and_never_another_answer(rng):
    released = pose.ask(*sample(), metric=True)
    seen = {kind: set() for kind in pose.KINDS}
    for _ in range(200):
        for drawn, fixed in zip(pose.ask(*sample(), metric=True, rng=rng), released, strict=True):
            seen[drawn.kind].add(drawn.prompt)
            assert (drawn.kind, drawn.answer, drawn.truth) == (
                fixed.kind,
                fixed.answer,
                fixed.truth,
            )
    assert seen == {kind: set(pose.WORDINGS[kind]) for kind in pose.KINDS}
