"""What a question about objects is, and the categories of SpatialRGPT-Bench."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vlm3_jax.errors import BadInput
from vlm3_jax.tasks.objects.answers import parse_answer
from vlm3_jax.tasks.objects.boxes import (
    box_text,
    check_boxes,
    mentioned_regions,
    name_regions,
)

# Relations and the group that SpatialRGPT-Bench reports them in.
GROUPS = {
    relation: group
    for group in (
        "below/above",
        "left/right",
        "big/small",
        "tall/short",
        "wide/thin",
        "behind/front",
    )
    for relation in group.split("/")
}
CHOICES = ("left", "right", "above", "below", "tall", "short")
LENGTHS = (
    "distance_data",
    "horizontal_distance_data",
    "vertical_distance_data",
    "width_data",
    "height_data",
)
DIRECTION = "direction"
QUANTITATIVE = (*LENGTHS, DIRECTION)
CATEGORIES = (
    *(f"{relation}_predicate" for relation in GROUPS),
    *(f"{relation}_choice" for relation in CHOICES),
    *QUANTITATIVE,
)


@dataclass(frozen=True)
class Question:
    """One question about one or two objects."""

    prompt: str
    answer: str
    category: str
    """One of `CATEGORIES`, or '' where the data name none."""
    truth: bool | int | float | None
    """Whether a predicate holds, the place in `regions` of a choice, metres, or a clock hour.

    None where the rules cannot read a benchmark's answer; only an external judge can then. None too
    without a category."""
    regions: tuple[str, ...]
    """Names of the boxes in the question, in its order."""


def qa_type(category: str) -> str:
    """How SpatialRGPT-Bench calls the type of a category: 'quantitative' or 'qualitative'."""
    return "quantitative" if category in QUANTITATIVE else "qualitative"


def prompt(question: str, boxes_xyxy: np.ndarray, width: int, height: int) -> str:
    """Puts boxes as text in the place of every `Region [i]` of a question, counted from 0.

    Args:
        question: what is asked.
        boxes_xyxy: pixels of the original image, [N, 4].
        width: of the original image.
        height: of the original image.

    Raises:
        BadInput: a box is none of the image, or the question refers to none, or to one that is not
            there.
    """
    check_boxes(boxes_xyxy, width, height)
    named = name_regions(question, [box_text(box, width, height) for box in boxes_xyxy])
    if named == question:
        raise BadInput(
            f"'{question}' refers to no box: write Region [0] in it where the first box is meant."
        )
    return named


def from_record(
    category: str,
    question: str,
    answer: str,
    boxes_xyxy: Sequence[Sequence[float]] | np.ndarray,
    width: int,
    height: int,
) -> Question:
    """Reads a question of SpatialRGPT's data and of sets of that form.

    Args:
        category: one of `CATEGORIES`, or '' where the data name none: the question can be trained
            on, but not scored.
        question: what the human says, with `<mask>` or `Region [i]`; an `<image>` line before it is
            left out.
        answer: what is answered, with `Region [i]`.
        boxes_xyxy: pixels of the original image, [N, 4].
        width: of the original image.
        height: of the original image.

    Raises:
        BadInput: the category is unknown, or a text refers to a box that is not there.
    """
    if category and category not in CATEGORIES:
        raise BadInput(f"'{category}' is no category of SpatialRGPT-Bench: check its record.")
    question = question.replace("<image>", "").strip()
    names = tuple(box_text(box, width, height) for box in boxes_xyxy)
    prompt, answer = name_regions(question, names), name_regions(answer.strip(), names)
    regions = tuple(names[place] for place in mentioned_regions(question))
    return Question(
        prompt=prompt,
        answer=answer,
        category=category,
        truth=parse_answer(category, answer, regions) if category else None,
        regions=regions,
    )
