import math

import numpy as np
import pytest
from hypothesis import given

from tests.tasks.texts import UNREADABLE, nonsense, states
from vlm3_jax.errors import BadInput
from vlm3_jax.tasks import correspondence
from vlm3_jax.tasks.correspondence import ask, format_answer, parse_answer, prompts, score, to_pixel

SIZE_1, SIZE_2 = (600, 400), (512, 384)
MATCHES = np.array([[300.0, 100.0, 128.0, 96.0], [0.0, 399.0, 511.0, 0.0]])


def test_released_wording():
    first, second = ask(SIZE_1, SIZE_2, MATCHES)
    assert first.prompt == (
        "Given these two images, what pixel in the second image corresponds to pixel (500, 250) in "
        "the first image? Report the answer as (x, y)."
    )
    assert first.answer == "(250, 250)"
    assert (first.point_xy, first.truth_xy) == ((300.0, 100.0), (128.0, 96.0))
    # Rounded half to even: 399 of 400 is 997.5, 511 of 512 is 998.05.
    assert "(0, 998)" in second.prompt and second.answer == "(998, 0)"
    assert second.truth == (511 / 512 * 1000, 0.0)


def test_points_without_labels_are_asked_about_in_the_same_words():
    expected = [question.prompt for question in ask(SIZE_1, SIZE_2, MATCHES)]
    assert prompts(MATCHES[:, :2], *SIZE_1) == expected
    with pytest.raises(BadInput, match=r"the point \(600, 0\) is outside the image of 600x400"):
        prompts([(600, 0)], *SIZE_1)


def test_positions_become_the_pixels_that_they_name():
    for question in ask(SIZE_1, SIZE_2, MATCHES):
        assert to_pixel(question.truth, *SIZE_2) == pytest.approx(question.truth_xy)
        stated = to_pixel(parse_answer(question.answer), *SIZE_2)
        assert np.abs(np.subtract(stated, question.truth_xy) / SIZE_2).max() <= 0.0005


def test_think_form():
    (question,) = ask(SIZE_1, SIZE_2, MATCHES[:1], think=True)
    assert question.prompt.endswith(
        "Report the answer as (x, y). Please think step by step and follow the format: "
        '"<think> [think process] </think>\n\n[answer]".'
    )
    assert question.answer == (
        "<think> The point at (500, 250) in the first image is seen at (250, 250) in the second "
        "image. </think>\n\n(250, 250)"
    )
    assert parse_answer(question.answer) == (250, 250)


def test_backward_asks_in_the_second_image():
    (question,) = ask(SIZE_1, SIZE_2, MATCHES[:1], backward=True, think=True)
    assert "what pixel in the first image corresponds to pixel (250, 250) in the second" in (
        question.prompt
    )
    assert question.answer.endswith("\n\n(500, 250)")
    assert question.truth == (500.0, 250.0)
    assert (question.point_xy, question.truth_xy) == ((128.0, 96.0), (300.0, 100.0))


@pytest.mark.parametrize("match", [(600, 0, 0, 0), (0, 0, 0, 384), (0, float("nan"), 0, 0)])
def test_a_point_outside_its_image_is_refused(match):
    with pytest.raises(BadInput, match="outside the image of"):
        ask(SIZE_1, SIZE_2, np.array([match]))


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("(12, 34)", (12, 34)),
        ("The answer (x, y) is ( 12.5 ,34 ).", (12.5, 34)),
        ("(12,34) or (56, 78)", (12, 34)),
        ("<think> (1, 2) </think>\n\n(3, 4)", (3, 4)),
        ("<think> (1, 2) <think> (3, 4) </think> (5, 6) </think> (7, 8)", (7, 8)),
        ("(1, 2) </think> (3, 4)", (3, 4)),
        ("(\u22123, 4)", (-3, 4)),
        ("(1, 2, 3) (4, 5)", (4, 5)),
        ("[0, 1000] format: (4, 5)", (4, 5)),
        ("<think> (1, 2)", None),
        ("(1, 2", None),
        ("(1e400, 2) (3, 4)", None),
        ("(٣, ٤)", None),
        ("12, 34", None),
    ],
)
def test_the_first_position_counts(text, position):
    assert parse_answer(text) == position


@pytest.mark.parametrize("text", UNREADABLE)
def test_no_position_is_made_up(text):
    assert parse_answer(text) is None


@given(nonsense)
def test_a_position_is_stated_by_its_text(text):
    for value in parse_answer(text) or ():
        assert math.isfinite(value) and states(text, value)


def oracle(rng, shift=(0.0, 0.0), count=10_000):
    """Answers to random questions through text, moved by `shift`, and the truths."""
    matches = rng.uniform(0, [*SIZE_1, *SIZE_2], (count, 4))
    questions = ask(SIZE_1, SIZE_2, matches, think=True)
    truths = np.array([question.truth for question in questions])
    if shift == (0.0, 0.0):
        return [parse_answer(question.answer) for question in questions], truths
    return [(x + shift[0], y + shift[1]) for x, y in truths.tolist()], truths


def test_text_round_trip_is_within_half_a_step(rng):
    answers, truths = oracle(rng)
    assert np.abs(np.array(answers) - truths).max() <= 0.5


def test_a_perfect_oracle_is_perfect_up_to_the_text(rng):
    result = score(*oracle(rng), resolution=SIZE_1)
    # At 600x400 half a step is 0.3 and 0.2 pixels.
    assert result.under_1_px == result.under_3_px == result.under_5_px == 1.0
    assert result.epe_px_mean < math.hypot(0.3, 0.2) and result.epe_mean < math.sqrt(0.5)
    assert (result.unparsed, result.num_unparsed, result.num_questions) == (0.0, 0, 10_000)


def test_a_shifted_oracle_has_the_error_of_its_shift(rng):
    # 3 and 4 thousandths: 5; at 600x400 1.8 and 1.6 pixels: 2.408.
    result = score(*oracle(rng, shift=(3.0, -4.0), count=100), resolution=SIZE_1)
    assert result.epe_mean == pytest.approx(5) and result.epe_median == pytest.approx(5)
    assert result.epe_px_mean == pytest.approx(math.hypot(1.8, 1.6))
    assert (result.under_1_px, result.under_3_px, result.under_5_px) == (0, 1, 1)


def test_unparsed_answers_are_counted_and_under_no_threshold():
    truths = [(0.0, 0.0)] * 4
    result = score([(0.0, 0.0), None, (3.0, 4.0), (0.0, 1000.0)], truths, (1000, 1000))
    assert result == correspondence.CorrespondenceScore(
        epe_mean=335.0,
        epe_median=5.0,
        epe_px_mean=335.0,
        epe_px_median=5.0,
        under_1_px=0.25,
        under_3_px=0.25,
        under_5_px=0.25,  # Exactly 5 pixels is not under 5.
        unparsed=0.25,
        num_questions=4,
        num_unparsed=1,
    )


def test_each_question_may_have_its_own_resolution():
    result = score([(10.0, 0.0), (10.0, 0.0)], [(0.0, 0.0)] * 2, [[100, 50], [1000, 50]])
    assert result.epe_px_mean == pytest.approx(5.5)


def test_nothing_parsed_has_no_error():
    result = score([None], [(1.0, 2.0)], SIZE_1)
    assert result.epe_mean is None and result.epe_px_median is None and result.unparsed == 1.0
    with pytest.raises(BadInput, match="no correspondence questions"):
        score([], np.zeros((0, 2)), SIZE_1)


def test_the_plain_answer_stays_on_the_grid():
    assert format_answer((-0.2, 1000.4)) == "(0, 1000)"
