import dataclasses

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.pose import relative_pose
from vlm3_jax.tasks import pose

NUM_PAIRS = 200


@pytest.mark.parametrize(
    ("errors", "value"),
    # datasets.md section 5.
    [([0.5, 5.2, 31], 0.6111), ([0.0, 0.0], 1.0), ([29.5], 0.0333), ([30.0], 0.0333)],
)
def test_auc_golden_values(errors, value):
    assert pose.auc(errors, 30) == pytest.approx(value, abs=5e-5)


def test_auc_counts_failures_in_no_degree():
    assert pose.auc([0.5, np.inf, np.nan, 31], 30) == 0.25
    assert [pose.auc([4.5], limit) for limit in (5, 10, 30)] == [1 / 5, 6 / 10, 26 / 30]


def test_rotation_error_agrees_with_the_published_formula():
    # arccos(1 - 2 (1 - (q . q')^2)).
    stated = Rotation.random(100, random_state=1)
    truth = Rotation.random(100, random_state=2)
    dots = np.sum(stated.as_quat() * truth.as_quat(), axis=1)
    expected = np.degrees(np.arccos(1 - 2 * (1 - dots**2)))
    answers = [
        pose.PoseAnswer(yaw_pitch_roll=tuple(angles))
        for angles in stated.as_euler("YXZ", degrees=True)
    ]
    result = pose.score(answers, truth.as_matrix(), np.ones((100, 3)), [False] * 100)
    assert result.rotation_error_mean == pytest.approx(expected.mean(), abs=1e-6)
    assert result.rotation_error_median == pytest.approx(np.median(expected), abs=1e-6)


def pairs():
    """Poses of random pairs."""
    rng = np.random.default_rng(0)
    poses = np.tile(np.eye(4), (2, NUM_PAIRS, 1, 1))
    for views in poses:
        views[:, :3, :3] = Rotation.random(NUM_PAIRS, random_state=rng).as_matrix()
        views[:, :3, 3] = rng.normal(size=(NUM_PAIRS, 3))
    return poses


def score(answers, poses, metric=True):
    relative = [relative_pose(*views) for views in zip(*poses, strict=True)]
    rotations, translations = zip(*relative, strict=True)
    return pose.score(answers, rotations, translations, [metric] * NUM_PAIRS)


def answered(poses):
    """What a perfect oracle says through text."""
    answers = []
    for views in zip(*poses, strict=True):
        read = {q.kind: pose.parse_answer(q.kind, q.answer) for q in pose.ask(*views, metric=True)}
        answers.append(pose.PoseAnswer(**read))
    return answers


def test_a_perfect_oracle_is_perfect_through_text():
    result = score(answered(pairs()), pairs())
    for name in ("auc_5", "auc_10", "auc_30"):
        assert getattr(result, name) == getattr(result, f"{name}_signed") == 1.0
    assert result.rotation_error_mean < 0.1 and result.direction_error_signed_mean < 0.5
    assert result.angle_error_mean < 0.05 and result.distance_abs_rel < 0.02
    assert result.num_unparsed == dict.fromkeys(pose.KINDS, 0)
    assert result.num_pairs == result.num_metric_pairs == NUM_PAIRS


def test_a_shifted_oracle_scores_what_its_shift_is_worth():
    # Yaw turns about the first camera's axis: 10.5 degrees of it turn the whole by 10.5.
    turned = [
        dataclasses.replace(
            a,
            yaw_pitch_roll=(a.yaw_pitch_roll[0] + 10.5, *a.yaw_pitch_roll[1:]),
            angle=a.angle + 2,
            distance=a.distance * 1.5,
        )
        for a in answered(pairs())
    ]
    result = score(turned, pairs())
    assert result.auc_5 == result.auc_10 == result.auc_5_signed == 0.0
    assert result.auc_30 == pytest.approx(20 / 30)  # Right from the eleventh degree on.
    assert result.rotation_error_mean == pytest.approx(10.5, abs=0.1)
    assert result.angle_error_mean == pytest.approx(2, abs=0.05)
    assert result.distance_abs_rel == pytest.approx(0.5, abs=0.02)


def test_opposite_directions_count_unless_the_sign_does():
    opposite = [
        dataclasses.replace(a, direction=tuple(-x for x in a.direction)) for a in answered(pairs())
    ]
    result = score(opposite, pairs())
    assert result.auc_30 == 1.0 and result.auc_30_signed == 0.0
    assert result.direction_error_mean < 0.5 < 179.5 < result.direction_error_signed_mean


def test_unparsed_answers_fail_and_are_counted():
    answers = answered(pairs())
    half = NUM_PAIRS // 2
    answers[:half] = [
        dataclasses.replace(a, yaw_pitch_roll=None, distance=None) for a in answers[:half]
    ]
    answers[-1] = dataclasses.replace(answers[-1], direction=None, angle=None)
    result = score(answers, pairs())
    assert result.auc_30 == pytest.approx((half - 1) / NUM_PAIRS)
    assert result.num_unparsed == {
        "angle": 1,
        "yaw_pitch_roll": half,
        "direction": 1,
        "distance": half,
    }
    assert score(answers, pairs(), metric=False).num_unparsed["distance"] == 0
    nothing = score([pose.PoseAnswer()] * NUM_PAIRS, pairs(), metric=False)
    assert nothing.auc_30 == 0.0 and nothing.rotation_error_mean is None
    assert nothing.distance_abs_rel is None


def test_a_pair_without_baseline_has_a_direction_error_of_90_degrees():
    answer = pose.PoseAnswer(yaw_pitch_roll=(0, 0, 0), direction=(1, 0, 0))
    result = pose.score([answer], [np.eye(3)], [np.zeros(3)], [True])
    assert result.direction_error_mean == result.direction_error_signed_mean == 90
    assert result.auc_30 == 0


def test_nothing_to_score_is_refused():
    with pytest.raises(BadInput, match="no pairs"):
        pose.score([], [], [], [])
