import math
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tasks.texts import UNREADABLE, nonsense, states
from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.camera import Camera, unify_focal
from vlm3_jax.tasks import depth

# The published depth sample: 1215x920 at a focal length of 1000, fx 902.47 before.
SAMPLE = Camera(fx=902.47, fy=901.39, cx=548.0, cy=415.0, width=1097, height=831)
PUBLISHED_PROMPT = (
    "Given this image, how far is the point at coordinates (16, 1061) from the camera? "
    "The coordinates are in normalised [0, 2000] format relative to image width and height. "
    "Output the thinking process in <think> </think> and final answer (the meter number only, "
    "without the unit) in <answer> </answer> tags."
)

focals = st.floats(20, 3000)
sizes = st.integers(2, 4000)
depths = st.lists(st.floats(0.05, 300), min_size=1, max_size=60)


def at(width: int, height: int, focal: float = 1000.0) -> Camera:
    return Camera(focal, focal, width / 2, height / 2, width, height)


def coordinates(prompt: str) -> tuple[int, int]:
    x, y = re.search(r"\((-?\d+), (-?\d+)\)", prompt).groups()
    return int(x), int(y)


def test_prompt_is_the_published_one_for_the_published_label():
    shown = at(1215, 920)
    assert depth.prompts(shown, shown, [[10, 488]]) == [PUBLISHED_PROMPT]


def test_points_are_carried_to_the_unified_image_before_they_are_named():
    unified = unify_focal(SAMPLE, 1000)
    assert (unified.width, unified.height) == (1215, 920)
    # 441 * 1000 / 902.47 is 488.66, cut to 488; 9.5 becomes 10.53, cut to 10.
    (prompt,) = depth.prompts(SAMPLE, unified, [[9.5, 441]])
    assert coordinates(prompt) == (16, 1061)


def test_rounding_is_half_to_even():
    shown = at(4000, 4000)
    prompts = depth.prompts(shown, shown, [[1, 3], [5, 7]])
    assert [coordinates(prompt) for prompt in prompts] == [(0, 2), (2, 4)]


@given(width=sizes, height=sizes, fx=focals, focal=focals, per_axis=st.booleans(), data=st.data())
def test_any_point_of_an_image_has_coordinates_of_the_scale(
    width, height, fx, focal, per_axis, data
):
    camera = replace(at(width, height, fx), fy=fx * data.draw(st.floats(0.8, 1.25)))
    try:
        unified = unify_focal(camera, focal, per_axis)
    except BadInput:
        return  # No pixel is left of the image.
    x = data.draw(st.floats(0, width, exclude_max=True))
    y = data.draw(st.floats(0, height, exclude_max=True))
    (prompt,) = depth.prompts(
        camera,
        unified,
        [
            [x, y],
        ],
    )
    for value, position, size, new_size in zip(
        coordinates(prompt), (x, y), (width, height), (unified.width, unified.height), strict=True
    ):
        assert 0 <= value <= depth.COORDINATE_SCALE
        # Cutting the size and the position moves a point by less than two pixels of the new image.
        assert abs(value / depth.COORDINATE_SCALE - position / size) <= 2 / new_size + 1 / 2000


@pytest.mark.parametrize("point", [(-1, 5), (64, 5), (5, 48), (5, -0.5), (float("nan"), 5)])
def test_a_point_outside_the_image_is_refused(point):
    camera = at(64, 48)
    with pytest.raises(BadInput, match="outside the image of 64x48"):
        depth.prompts(camera, camera, [[1, 1], point])


def test_questions_keep_the_unrounded_label_and_the_original_pixel():
    camera = at(640, 480, 500)
    first, second = depth.ask(
        camera, unify_focal(camera, 1000), np.array([[639, 0], [3, 7]]), np.array([2.3456, 10])
    )
    assert (first.truth, first.point_xy) == (2.3456, (639.0, 0.0))
    assert first.answer == (
        "<think> The point is around 2.35 meters away from the camera. </think>\n\n"
        "<answer> 2.35 </answer>"
    )
    assert second.answer.endswith("<answer> 10.00 </answer>")
    assert coordinates(second.prompt) == (9, 29)


@given(st.floats(0.01, 1000))
def test_an_answer_reads_back_to_its_two_decimals(metres):
    assert depth.parse_answer(depth.format_answer(metres)) == pytest.approx(metres, abs=0.00501)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("<answer>3</answer>", 3.0),
        ("<answer> -2.5 </answer>", -2.5),
        ("<answer> +.5e1\n</answer>", 5.0),
        ("<think> 7 </think><answer> 1.5 </answer> <answer> 9 </answer>", 1.5),
        ("<answer> 5. </answer>", None),
        ("<answer> 5 m </answer>", None),
        ("<answer> 1,250.5 </answer>", None),
        ("<answer> 1e999 </answer>", None),
        ("<answer> nan </answer>", None),
        ("<answer> 5", None),
        ("<think> <answer> 5 </answer> </think> <answer> 6 </answer>", 6.0),
        ("<think> <answer> 5 </answer> </think>", None),
        ("<think> it is far <answer> 6 </answer>", 6.0),
        ("<answer> <answer> 6 </answer> </answer>", 6.0),
        ("<answer> 5 <answer> 6 </answer>", 6.0),
        ("<answer> 5 6 </answer>", None),
        ("<answer> ٣ </answer>", None),
        ("<answer> \uff15.5 </answer>", None),
        ("<answer> \u22125 </answer>", None),
        ("5", None),
        ("", None),
    ],
)
def test_answers_are_parsed_by_the_released_pattern(text, value):
    assert depth.parse_answer(text) == value


@pytest.mark.parametrize("text", UNREADABLE)
def test_no_depth_is_made_up(text):
    assert depth.parse_answer(text) is None


RELEASED = re.compile(r"<answer>\s*([-+]?\d*\.?\d+(?:[eE][-+]?\d+)?)\s*</answer>", re.ASCII)


@given(nonsense)
def test_depths_are_those_of_the_released_pattern_outside_of_thoughts(text):
    if "think>" in text.lower() or not text.isascii():
        value = depth.parse_answer(text)
        assert value is None or states(text, value)
        return
    for wrapped in (text, f"<answer> {text} </answer>"):
        match = RELEASED.search(wrapped)
        expected = float(match[1]) if match and math.isfinite(float(match[1])) else None
        assert depth.parse_answer(wrapped) == expected


def oracle(rng, factor: float) -> tuple[list[float | None], list[float]]:
    """Answers that are wrong by a factor, through text, to 10,000 questions of depths."""
    truths = rng.uniform(0.5, 120, 10_000)
    questions = depth.ask(
        at(640, 480), at(640, 480), rng.uniform(0, [640, 480], (10_000, 2)), truths * factor
    )
    return [depth.parse_answer(question.answer) for question in questions], truths.tolist()


def test_a_perfect_oracle_is_right_within_the_printed_decimals(rng):
    answers, truths = oracle(rng, 1.0)
    assert np.abs(np.subtract(answers, truths)).max() <= 0.005 + 1e-9
    result = depth.score(answers, truths)
    assert result.delta1 == result.delta1_parsed_only == 1.0
    assert result.rmse <= 0.005 and result.abs_rel <= 0.01


@pytest.mark.parametrize(("factor", "delta1"), [(1.2, 1.0), (1.3, 0.0), (0.7, 0.0)])
def test_a_shifted_oracle_scores_its_shift(rng, factor, delta1):
    answers, truths = oracle(rng, factor)
    result = depth.score(answers, truths)
    assert result.delta1 == delta1
    assert result.abs_rel == pytest.approx(abs(factor - 1), abs=1e-3)
    assert result.rmse == pytest.approx(
        abs(factor - 1) * np.sqrt(np.mean(np.square(truths))), rel=1e-4
    )


def test_score_counts_both_ways():
    result = depth.score(
        [1.0, 1.25, 0.81, None, 0.0, -1.0, 4.0], [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    )
    # 1.25 is not strictly below the threshold, 1/0.81 is; a negative answer is never right.
    assert result == depth.DepthScore(
        delta1=2 / 7,
        delta1_parsed_only=2 / 4,
        abs_rel=pytest.approx((0 + 0.25 + 0.19 + 3) / 4),
        rmse=pytest.approx(((0.25**2 + 0.19**2 + 3**2) / 4) ** 0.5),
        num_questions=7,
        num_unparsed=1,
        num_nonpositive=2,
    )


@pytest.mark.parametrize(
    ("prediction", "correct"),
    # Both ratios of a negative answer are small.
    [
        (2.4, True),
        (1.7, True),
        (2.5, False),
        (1.6, False),
        (None, False),
        (0.0, False),
        (-2.0, False),
    ],
)
def test_correct_is_within_a_factor_of_a_positive_answer(prediction, correct):
    assert depth.is_correct(prediction, 2.0) is correct


def test_score_without_a_usable_answer_has_no_parsed_only_value():
    result = depth.score([None, -2.0], [1.0, 2.0])
    assert result.delta1_parsed_only is None and result.abs_rel is None and result.rmse is None


def test_nothing_to_score_is_refused():
    with pytest.raises(BadInput, match="no depth questions"):
        depth.score([], [])
    with pytest.raises(BadInput, match="no depths"):
        depth.best_constant([])


@given(depths)
def test_no_constant_beats_the_best_one(values):
    _, best = depth.best_constant(values)
    # The count changes only at the ends of the intervals (d / 1.25, 1.25 d): try both their sides.
    ends = np.outer(values, [1 / 1.25, 1.25]).ravel()
    for candidate in np.concatenate([ends * (1 - 1e-9), ends * (1 + 1e-9)]):
        assert depth.score([candidate] * len(values), values).delta1 <= best


def test_best_constant_of_a_window_that_is_just_too_wide():
    constant, delta1 = depth.best_constant([1.6, 2.5, 1.6])  # 2.5 / 1.6 is 1.25 squared.
    assert (constant, delta1) == (pytest.approx(1.6), 2 / 3)
