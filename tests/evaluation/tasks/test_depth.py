import numpy as np
import pytest

from vlm3_jax.evaluation.judging import Said
from vlm3_jax.evaluation.summary import interval
from vlm3_jax.evaluation.tasks import DepthJudge
from vlm3_jax.tasks.certainty import Certainty
from vlm3_jax.tasks.depth import Question, format_answer

JUDGE = DepthJudge()


def judged(answer: str, truth: float, image: str = "a", distribution=None):
    question = Question("?", format_answer(truth), truth, (1.0, 2.0))
    return JUDGE.judge(question, image, Said(answer, distribution))


ANSWERS = [
    judged("<answer> 1 </answer>", 1.0),
    judged("<answer> 2 </answer>", 1.0),
    judged("none", 1.0, "b"),
    judged("<answer> -1 </answer>", 4.0, "b"),
]


def test_both_countings_and_every_failure():
    metrics = JUDGE.metrics(ANSWERS)
    assert metrics["delta1"] == 1 / 4 and metrics["delta1_parsed_only"] == 1 / 2
    assert metrics["abs_rel"] == 1 / 2 and metrics["rmse"] == pytest.approx(0.5**0.5)
    assert JUDGE.counts(ANSWERS) == {"nonpositive": 1}
    assert [one.is_read for one in ANSWERS] == [True, True, False, True]
    assert [one.error for one in ANSWERS] == [0.0, 1.0, None, None]


@pytest.mark.parametrize(("factor", "right"), [(1.2, 1.0), (1.3, 0.0), (0.85, 1.0), (0.75, 0.0)])
def test_an_oracle_that_is_off_by_a_factor(factor, right):
    # Truths of 3 to 9 metres: two decimals cannot take a factor over the limit.
    truths = np.linspace(3, 9, 13)
    ones = [judged(format_answer(factor * t), float(t)) for t in truths]
    metrics = JUDGE.metrics(ones)
    assert metrics["delta1"] == right
    assert metrics["abs_rel"] == pytest.approx(abs(factor - 1), abs=0.002)


def test_intervals_are_by_image():
    measures = JUDGE.measures(ANSWERS)
    # The draws aa, ab (half of all) and bb.
    assert interval(measures["delta1"]) == [0.0, 0.5]
    assert interval(measures["abs_rel"]) == [0.5, 0.5]  # One image has all usable answers.
    assert set(measures) == {"delta1", "delta1_parsed_only", "abs_rel", "rmse"}


def test_the_best_constant():
    constant = JUDGE.best_constant([judged("", t) for t in (1.0, 1.1, 1.2, 5.0)])
    assert constant["delta1"] == 3 / 4 and 1.0 < constant["metres"] < 1.2


def test_certainty_is_scored_beside_the_answers():
    known = np.array([1.0, 2.0]), np.array([0.7, 0.2])
    ones = [
        judged("<answer> 2 </answer>", 1.05, distribution=known),
        judged("?", 1.0, "b", distribution=(np.zeros(0), np.zeros(0))),
    ]
    assert isinstance(ones[0].certainty, Certainty)
    metrics = JUDGE.metrics(ones)
    assert metrics["delta1"] == 0 and metrics["delta1_likely"] == 1 / 2
    assert metrics["mean_confidence"] == pytest.approx(0.35)
    assert metrics["mean_unexplained"] == pytest.approx((0.1 + 1) / 2)
    assert metrics["ranges"] == 1 / 2 and metrics["truth_in_range"] == 1.0
    fields = JUDGE.record(ones[0])
    assert fields["likely_metres"] == pytest.approx(ones[0].certainty.likely)
    assert {"confidence", "low", "high", "unexplained"} <= fields.keys()
    assert "delta1_likely" not in JUDGE.metrics(ANSWERS)


def test_absurd_numbers_stay_finite():
    ones = [judged("<answer> 1e308 </answer>", 0.5), judged("<answer> 9e307 </answer>", 0.2, "b")]
    for measure in JUDGE.measures(ones).values():
        assert np.isfinite(interval(measure)).all()
