import numpy as np
import pytest
from scipy.optimize import minimize

from vlm3_jax.evaluation.judging import Said
from vlm3_jax.evaluation.tasks import CorrespondenceJudge
from vlm3_jax.evaluation.tasks.correspondence import geometric_median
from vlm3_jax.tasks.correspondence import ask, format_answer

JUDGE = CorrespondenceJudge()


def answers(shift=(0.0, 0.0), count: int = 20, said=None):
    """Positions of a 600x400 image, shifted by so many 1/1000 of its sides."""
    k = np.arange(count)
    matches = np.stack([3 * k, 2 * k, 6 + 6 * k, 4 + 8 * k], axis=1)
    questions = ask((600, 400), (600, 400), matches)
    texts = said or [
        format_answer((q.truth[0] + shift[0], q.truth[1] + shift[1])) for q in questions
    ]
    return [
        JUDGE.judge(q, f"pair {i // 5}", Said(text))
        for i, (q, text) in enumerate(zip(questions, texts, strict=True))
    ]


def test_positions_on_the_grid_have_no_error():
    metrics = JUDGE.metrics(answers())  # 6 of 600 and 4 of 400 pixels are whole thousandths.
    assert metrics["epe_mean"] == pytest.approx(0, abs=1e-9)
    assert metrics["under_1_px"] == 1.0 and metrics["unparsed"] == 0.0


def test_an_oracle_that_is_shifted():
    # 3 and 4 thousandths: 5 of them, which are 1.8 and 1.6 pixels at 600x400.
    metrics = JUDGE.metrics(answers((3, 4)))
    assert metrics["epe_mean"] == pytest.approx(5) == metrics["epe_median"]
    assert metrics["epe_px_mean"] == pytest.approx(np.hypot(1.8, 1.6))
    assert (metrics["under_1_px"], metrics["under_3_px"]) == (0.0, 1.0)
    assert JUDGE.facts() == {"resolution": [600, 400]}
    assert [one.error for one in answers((3, 4))] == pytest.approx([5.0] * 20)


def test_answers_that_cannot_be_read_are_under_no_limit():
    metrics = JUDGE.metrics(answers(said=["(8, 10)"] + ["left"] * 19))
    assert metrics["unparsed"] == 19 / 20 and metrics["under_5_px"] == 1 / 20
    nothing = JUDGE.metrics(answers(said=["left"] * 20))
    assert nothing["epe_mean"] is None and nothing["under_5_px"] == 0
    assert set(JUDGE.measures(answers(said=["left"] * 20))) == {
        *("under_1_px", "under_3_px", "under_5_px", "unparsed"),
    }


def test_the_best_constant_and_the_same_position():
    ones = answers()
    constant = JUDGE.best_constant(ones)
    truths = np.array([one.question.truth for one in ones])
    other = minimize(
        lambda p: np.hypot(*(truths - p).T).mean(), truths.mean(0), method="Nelder-Mead"
    )
    assert constant["epe_mean"] == pytest.approx(other.fun, rel=1e-4)
    asked = np.array([one.question.point for one in ones])
    assert constant["same_position_epe_mean"] == pytest.approx(np.hypot(*(truths - asked).T).mean())


def test_the_geometric_median_of_points_that_are_all_one():
    assert geometric_median(np.full((7, 2), 3.5)) == pytest.approx((3.5, 3.5))
