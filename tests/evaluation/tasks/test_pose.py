from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from vlm3_jax.evaluation.judging import Said
from vlm3_jax.evaluation.summary import interval
from vlm3_jax.evaluation.tasks import PoseJudge
from vlm3_jax.tasks import pose

JUDGE = PoseJudge()
FORWARD = (0.0, 0.0, 1.0)


def pair(key: str, yaw: float = 0.0, move=FORWARD, metric: bool = True, texts=None):
    """The judged answers about a pair; texts by kind replace the right ones."""
    second = np.eye(4)
    second[:3, :3] = Rotation.from_euler("Y", yaw, degrees=True).as_matrix()
    second[:3, 3] = move
    questions = pose.ask(np.eye(4), second, metric=metric)
    texts = texts or {}
    return [JUDGE.judge(q, key, Said(texts.get(q.kind, q.answer))) for q in questions]


def turned(degrees: float) -> dict[str, str]:
    return {"yaw_pitch_roll": pose.format_yaw_pitch_roll(degrees, 0, 0)}


def test_auc_of_the_specification():
    # Errors of 0.5, 5.2 and 31 degrees: (30 + 25 + 0) of 3 x 30; those limits that are reached.
    ones = [
        *pair("a", texts=turned(0.5)),
        *pair("b", texts=turned(5.2)),
        *pair("c", texts=turned(31)),
    ]
    metrics = JUDGE.metrics(ones)
    assert metrics["auc_30"] == pytest.approx(0.6111, abs=1e-4)
    assert JUDGE.metrics(pair("a", texts=turned(29.5)))["auc_30"] == pytest.approx(1 / 30)
    assert JUDGE.metrics(pair("a", texts=turned(30.0)))["auc_30"] == pytest.approx(1 / 30)
    assert metrics["rotation_error_mean"] == pytest.approx((0.5 + 5.2 + 31) / 3)


def test_signs_of_directions_count_only_in_the_signed_kind():
    backward = {"direction": pose.format_direction((0.0, 0.0, -1.0))}
    metrics = JUDGE.metrics(pair("a", texts=backward))
    assert metrics["auc_30"] == 1.0 and metrics["auc_30_signed"] == 0.0
    assert metrics["direction_error_signed_mean"] == pytest.approx(180)


def test_a_pair_needs_both_answers():
    unread = {"direction": "somewhere"}
    ones = [*pair("a"), *pair("b", texts=unread), *pair("c", metric=False)]
    metrics, counts = JUDGE.metrics(ones), JUDGE.counts(ones)
    assert metrics["auc_5"] == pytest.approx(2 / 3)
    assert counts["pairs"] == 3 and counts["metric_pairs"] == 2
    assert counts["unparsed_direction"] == 1 and counts["unparsed_angle"] == 0
    assert metrics["distance_abs_rel"] == pytest.approx(0, abs=1e-9)


def test_answers_may_come_in_any_order():
    ones = [*pair("a", 20), *pair("b", -35)]
    assert JUDGE.metrics(ones[::-1]) == JUDGE.metrics(ones)


def test_errors_of_single_answers():
    texts = {
        "angle": "Rotation angle: 13.0 degrees",
        "yaw_pitch_roll": "Yaw=+10.0°, Pitch=+0.0°, Roll=+7.0°",
        "direction": "(1, 0, 0)",
        "distance": "Translation distance: 1.50 meters",
    }
    errors = {one.question.kind: one.error for one in pair("a", 10, texts=texts)}
    assert errors == {
        "angle": pytest.approx(3),
        "yaw_pitch_roll": pytest.approx(7),
        "direction": pytest.approx(90),
        "distance": pytest.approx(0.5 / 1.0001),
    }
    still = replace(pair("a")[0], parsed=None, is_read=False)
    assert still.error is not None and JUDGE.judge(still.question, "a", Said("?")).error is None


def test_intervals_draw_pairs():
    ones = [one for i in range(20) for one in pair(str(i), texts=turned(0.5 if i % 2 else 90))]
    low, high = interval(JUDGE.measures(ones)["auc_30"])
    assert low < 0.5 < high and 0.25 < high - low < 0.6


def test_the_best_constant_is_the_pose_of_the_crowd():
    crowd = [one for i in range(6) for one in pair(str(i), 40 + 0.1 * i, (1.0, 0.0, 0.0))]
    ones = [*crowd, *pair("x", -80, FORWARD), *pair("y", 3, (0.0, 1.0, 0.0))]
    constant = JUDGE.best_constant(ones)
    assert constant["yaw_pitch_roll"][0] == pytest.approx(40, abs=1)
    assert constant["auc_30"] == pytest.approx(6 / 8)
    assert constant["distance"] == 1.0 and constant["distance_abs_rel"] == pytest.approx(0)


def test_no_turn_along_the_main_direction_may_be_best():
    ones = [
        one
        for i, (yaw, x) in enumerate([(20, 0.4), (-20, -0.4), (0.2, 0.01)])
        for one in pair(str(i), yaw, (x, 0.0, (-1.0) ** i))
    ]
    constant = JUDGE.best_constant(ones)
    assert abs(constant["yaw_pitch_roll"][0]) < 1
    assert constant["auc_30"] > 0.4


def test_cameras_with_one_centre_are_counted_and_no_answer_is_right():
    ones = [*pair("a", 20, (0.0, 0.0, 0.0)), *pair("b")]
    assert JUDGE.counts(ones)["pairs_without_direction"] == 1
    assert JUDGE.metrics(ones)["auc_30"] == 1 / 2
    assert JUDGE.best_constant(ones)["auc_30"] <= 1 / 2
