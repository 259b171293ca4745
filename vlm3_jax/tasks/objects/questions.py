"""What a question about objects is, and the categories of SpatialRGPT-Bench."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vlm3_jax.errors import BadInput
from vlm3_jax.tasks.objects.answers import parse_answer
from vlm3_jax.tasks.objects.boxes import box_text, check_boxes, name_regions

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
    """One of `CATEGORIES`."""
    truth: bool | int | float | None
    """Whether a predicate holds, the place in `regions` of a choice, metres, or a clock hour.

    None where the rules cannot read a benchmark's answer; only an external judge can then."""
    regions: tuple[str, ...]
    """Names of the boxes in the question, in its order."""


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


def from_benchmark(
    category: str,
    question: str,
    answer: str,
    boxes_xyxy: Sequence[Sequence[float]] | np.ndarray,
    width: int,
    height: int,
) -> Question:
    """Reads a record of SpatialRGPT-Bench.

    Args:
        category: of `qa_info`.
        question: what the human says, with `<mask>`; an `<image>` line before it is left out.
        answer: what is answered, with `Region [i]`.
        boxes_xyxy: pixels of the original image, [N, 4].
        width: of the original image.
        height: of the original image.

    Raises:
        BadInput: the category is unknown, or a text refers to a box that is not there.
    """
    if category not in CATEGORIES:
        raise BadInput(f"'{category}' is no category of SpatialRGPT-Bench: check its record.")
    names = tuple(box_text(box, width, height) for box in boxes_xyxy)
    answer = name_regions(answer.strip(), names)
    return Question(
        prompt=name_regions(question.replace("<image>", "").strip(), names),
        answer=answer,
        category=category,
        truth=parse_answer(category, answer, names),
        regions=names,
    )
