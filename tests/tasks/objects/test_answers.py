import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tasks.texts import UNREADABLE, nonsense, states
from vlm3_jax.tasks.objects import CATEGORIES, format_direction, format_length, parse_answer

A, B = "bounding box region (0, 39, 652, 999)", "bounding box region (6, 380, 228, 562)"
NUM_TRUTHS = 10_000


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("Yes.", True),
        ("yes, A is to the left of B.", True),
        ("Indeed, it is.", True),
        ("That is True.", True),
        ("Right, it is.", True),
        ("Right.", True),
        ("Correct, you'll find it there.", True),
        ("<think> no </think> Yes.", True),
        ("No.", False),
        ("Incorrect, it is not.", False),
        ("That is False.", False),
        ("It isn't.", False),
        ("It isn\u2019t.", False),
        (f"In fact, {A} is to the right of {B}.", False),
        (f"In fact, {B} is to the right of {A}.", True),
        ("Actually, it is to the right.", False),
        (f"{A} is to the left of {B}.", True),
        (f"{B} is to the left of {A}.", False),
        (f"Region [1] is to the left of {A}.", False),
        ("bounding box region (1, 2, 3, 4) is to the left.", None),
        ("It is not to the right.", None),
        ("It isn't on the right.", None),
        ("It is not to the left but to the right.", False),
        ("No, it is to the right.", False),
        ("Correct, it is right there.", True),
        ("It is neither left nor right.", None),
        ("Right of it.", False),  # A direction, not an affirmation.
        ("I am not sure.", None),
        ("I cannot say yes or no.", None),
        ("It can't be determined.", None),
        ("I can't tell.", None),
        ("Noted, yesterday.", None),
        ("<think> yes", None),
        ("", None),
    ],
)
def test_predicates(text, holds):
    assert parse_answer("left_predicate", text, (A, B)) is holds


@pytest.mark.parametrize(
    ("category", "text", "holds"),
    [
        ("above_predicate", "Actually, it is below.", False),
        ("below_predicate", "It is lower.", True),
        ("behind_predicate", "It is closer to the viewer.", False),
        ("front_predicate", "It is in front of it.", True),
        ("big_predicate", "Actually, it might be smaller.", False),
        ("small_predicate", "It might be larger.", False),
        ("tall_predicate", "In fact, it may be shorter.", False),
        ("short_predicate", "It is shorter.", True),
        ("wide_predicate", "In fact, it might be narrower.", False),
        ("thin_predicate", "It might be wider.", False),
    ],
)
def test_predicates_without_yes_or_no(category, text, holds):
    assert parse_answer(category, text, (A, B)) is holds


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (f"{B} is taller.", 1),
        ("With more height is (0, 39, 652, 999).", 0),
        ("Region [1] is taller, so Region 1.", 1),
        (f"{A} is taller than {B}.", None),
        ("bounding box region (0, 39, 652, 998) is taller.", None),
        ("Region [2] is taller.", None),
        ("The first one.", None),
        ("Region [123456789]", None),
    ],
)
def test_choices(text, place):
    assert parse_answer("tall_choice", text, (A, B)) == place


@pytest.mark.parametrize(
    ("text", "hour"),
    [
        ("Region [0] will find Region [1] around the 2 o'clock direction.", 2),
        (f"{B} is at 12 o\u2019clock from {A}.", 12),
        ("11 oclock", 11),
        ("10 o' clock", 10),
        ("13 o'clock", None),
        ("0 o'clock", None),
        ("2.5 o'clock", None),
        ("2:30 o'clock", None),
        ("10 or 11 o'clock", None),
        ("2 o'clock or 3 o'clock", None),
        ("-2 o'clock", None),
        ("٣ o'clock", None),
        ("2", None),
    ],
)
def test_hours(text, hour):
    assert parse_answer("direction", text, (A, B)) == hour


def test_numbers_of_boxes_are_no_lengths():
    assert parse_answer("width_data", f"{A} is 1.2 meters wide.", (A,)) == 1.2
    assert parse_answer("width_data", "Region [0] m", (A,)) is None
    assert parse_answer("width_data", f"{A} m", (A,)) is None


QUANTITATIVE = [c for c in CATEGORIES if not c.endswith(("predicate", "choice"))]


@pytest.mark.parametrize("text", UNREADABLE)
@pytest.mark.parametrize("category", QUANTITATIVE)
def test_no_quantity_is_made_up(category, text):
    assert parse_answer(category, text, (A, B)) is None


@given(st.sampled_from(CATEGORIES), nonsense)
def test_any_text_has_an_answer_of_its_kind_or_none(category, text):
    answer = parse_answer(category, text, (A, B))
    if category.endswith("predicate"):
        assert answer in (True, False, None)
    elif category.endswith("choice"):
        assert answer in (0, 1, None)
    elif category == "direction":
        assert answer is None or (answer in range(1, 13) and states(text, answer))
    else:
        assert answer is None or answer >= 0


@given(st.text(max_size=30))
def test_without_its_words_no_predicate_has_an_answer(text):
    if not any(letter in text.lower() for letter in "aeiou"):
        assert parse_answer("left_predicate", text, (A, B)) is None


def test_text_round_trip_of_random_lengths_and_hours(rng):
    for metres in 10 ** rng.uniform(-2, 2, NUM_TRUTHS):
        text = f"The distance between {A} and {B} is {format_length(metres)}."
        step = 0.005 if metres >= 1 else 0.0005
        assert parse_answer("distance_data", text) == pytest.approx(metres, rel=0, abs=step + 1e-9)
    for hour in range(1, 13):
        assert parse_answer("direction", f"{B} is at {format_direction(hour)} from {A}.") == hour
