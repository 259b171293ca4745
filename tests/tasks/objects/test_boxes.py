from math import nan

import pytest

from vlm3_jax.errors import BadInput
from vlm3_jax.tasks.objects import box_text, from_record, name_regions, prompt

# VLM3's published label of a SpatialRGPT-Bench image of 1024x768.
BOXES = [(0, 30, 668, 767), (6, 292, 233, 432)]
FIRST = "bounding box region (0, 39, 652, 999)"
SECOND = "bounding box region (6, 380, 228, 562)"


def test_published_boxes():
    assert [box_text(box, 1024, 768) for box in BOXES] == [FIRST, SECOND]


def test_boxes_stay_on_the_grid():
    assert box_text((-3, 0, 1030, 768), 1024, 768) == "bounding box region (0, 0, 1000, 1000)"


def test_published_question_and_answer():
    question = from_record(
        "small_predicate",
        "<image>\n Can you confirm if <mask> is smaller than <mask>?",
        "Incorrect, Region [0] is not smaller in size than Region [1].",
        BOXES,
        1024,
        768,
    )
    assert question.prompt == f"Can you confirm if {FIRST} is smaller than {SECOND}?"
    assert question.answer == f"Incorrect, {FIRST} is not smaller in size than {SECOND}."
    assert question.truth is False and question.regions == (FIRST, SECOND)


@pytest.mark.parametrize(
    ("category", "answer", "truth"),
    [
        ("left_predicate", "In fact, Region [0] is to the right of Region [1].", False),
        ("tall_choice", "With more height is Region [1].", 1),
        ("width_data", "Region [0] is 10.0 inches wide.", 0.254),
        ("direction", "Region [0] will find Region [1] around the 2 o'clock direction.", 2),
        ("vertical_distance_data", "Region [0] directly supports Region [1].", None),
    ],
)
def test_truths_are_read_from_answers(category, answer, truth):
    question = from_record(category, "<mask>, <mask>?", answer, BOXES, 1024, 768)
    assert question.truth == truth and type(question.truth) is type(truth)


def test_regions_are_replaced_wherever_they_are_named():
    text = "Region [1], <mask>, region [0] and <mask>: [0] [REGION] Region 1"
    assert name_regions(text, ("A", "B")) == "B, A, A and B: [0] [REGION] Region 1"


@pytest.mark.parametrize("text", ["Region [2]", "<mask> <mask> <mask>", "Region [99999]"])
def test_a_region_that_is_not_there_is_refused(text):
    with pytest.raises(BadInput, match="has 2 boxes"):
        name_regions(text, ("A", "B"))


def test_a_question_of_ones_own():
    asked = prompt("How far is Region [1] from Region [0]?", BOXES, 1024, 768)
    assert asked == f"How far is {SECOND} from {FIRST}?"
    assert prompt("Region [0]?", [(0, 0, 1024, 768)], 1024, 768).endswith("(0, 0, 1000, 1000)?")


@pytest.mark.parametrize(
    "box",
    [(5, 5, 5, 9), (9, 5, 5, 9), (-1, 5, 5, 9), (5, 5, 1025, 9), (5, 5, 9, 769), (5, 5, 9, nan)],
)
def test_what_is_no_box_is_refused(box):
    with pytest.raises(BadInput, match="is no box of the image of 1024x768"):
        prompt("Region [0]?", [BOXES[0], box], 1024, 768)


@pytest.mark.parametrize("text", ["How wide is it?", "How wide is region 0?"])
def test_a_question_about_no_box_is_refused(text):
    with pytest.raises(BadInput, match="refers to no box"):
        prompt(text, BOXES, 1024, 768)


def test_an_unknown_category_is_refused():
    with pytest.raises(BadInput, match="radius_data"):
        from_record("radius_data", "<mask>", "Region [0]", BOXES, 1024, 768)
