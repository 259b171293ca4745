"""Where a pixel of one image lies in another, asked and answered in text (VLM3, arXiv 2605.30561).

A position is two numbers in 0 to 1000, from the left and the top edge of its image.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.pixels import check_points, normalize_point
from vlm3_jax.tasks.averages import mean, median
from vlm3_jax.tasks.reading import tuples, without_thoughts

COORDINATE_SCALE = 1000

# The released checkpoint was trained on exactly these bytes, with or without the suffix.
PROMPT = (
    "Given these two images, what pixel in the second image corresponds to pixel ({x}, {y}) in the"
    " first image? Report the answer as (x, y)."
)
THINK_SUFFIX = (
    ' Please think step by step and follow the format: "<think> [think process] </think>\n\n'
    '[answer]".'
)
# The other direction, which the release reaches by swapping the images only.
BACKWARD_PROMPT = (
    "Given these two images, what pixel in the first image corresponds to pixel ({x}, {y}) in the"
    " second image? Report the answer as (x, y)."
)

ANSWER = "({x}, {y})"
THINK_ANSWER = (
    "<think> The point at ({x1}, {y1}) in the {asked} image is seen at ({x2}, {y2}) in the {other}"
    " image. </think>\n\n({x2}, {y2})"
)


@dataclass(frozen=True)
class Question:
    """One pixel of an image and its place in the other."""

    prompt: str
    answer: str
    truth: tuple[float, float]
    """Position in the other image in 1/1000 of its width and height, not rounded."""
    point_xy: tuple[float, float]
    """The pixel that is asked about."""
    truth_xy: tuple[float, float]
    """Its pixel in the other image."""
    point: tuple[float, float]
    """The pixel that is asked about in 1/1000 of its image's sides, not rounded."""
    backward: bool
    """Whether it is a pixel of the second image."""


@dataclass(frozen=True)
class CorrespondenceScore:
    """End-point errors: distances from the answers to the labels.

    Means and medians are over the parsed answers, None without any; shares are over all questions,
    where an answer that cannot be parsed is under no threshold.
    """

    epe_mean: float | None
    """In 1/1000 of the image's sides, the unit of VLM3's demo."""
    epe_median: float | None
    epe_px_mean: float | None
    """In pixels of the stated resolution."""
    epe_px_median: float | None
    under_1_px: float
    under_3_px: float
    under_5_px: float
    unparsed: float
    """Share of the answers that cannot be parsed."""
    num_questions: int
    num_unparsed: int


def prompts(points_xy: np.ndarray, width: int, height: int) -> list[str]:
    """Asks where pixels of the first image lie in the second, as the released checkpoint was asked.

    Args:
        points_xy: pixels of the first image, [N, 2].
        width: of the first image, as the points refer to it; a resize changes no prompt.
        height: see `width`.

    Raises:
        BadInput: a point is outside the image.
    """
    points = np.asarray(points_xy, np.float64).reshape(-1, 2)
    check_points(points, width, height)
    names = [normalize_point(*xy, width, height, COORDINATE_SCALE) for xy in points.tolist()]
    return [PROMPT.format(x=x, y=y) for x, y in names]


def ask(
    size_1: tuple[int, int],
    size_2: tuple[int, int],
    matches: np.ndarray,
    *,
    backward: bool = False,
    think: bool = False,
) -> list[Question]:
    """Makes a question with its answer of every match.

    Args:
        size_1: width and height of the first image, as the matches refer to it; a resize changes
            no question, for positions are named as shares of the image.
        size_2: the same of the second image.
        matches: x1, y1, x2, y2 in pixels, [N, 4].
        backward: ask for pixels of the first image that correspond to pixels of the second.
        think: ask for and answer with a thought before the answer.

    Raises:
        BadInput: a point is outside its image.
    """
    matches = np.asarray(matches, np.float64).reshape(-1, 4)
    check_points(matches[:, :2], *size_1)
    check_points(matches[:, 2:], *size_2)
    if backward:
        matches, (size_1, size_2) = matches[:, [2, 3, 0, 1]], (size_2, size_1)
    prompt = (BACKWARD_PROMPT if backward else PROMPT) + (THINK_SUFFIX if think else "")
    questions = []
    for x1, y1, x2, y2 in matches.tolist():
        point = normalize_point(x1, y1, *size_1, COORDINATE_SCALE)
        truth = (x2 / size_2[0] * COORDINATE_SCALE, y2 / size_2[1] * COORDINATE_SCALE)
        questions.append(
            Question(
                prompt=prompt.format(x=point[0], y=point[1]),
                answer=_think_answer(point, truth, backward) if think else format_answer(truth),
                truth=truth,
                point_xy=(x1, y1),
                truth_xy=(x2, y2),
                point=(x1 / size_1[0] * COORDINATE_SCALE, y1 / size_1[1] * COORDINATE_SCALE),
                backward=backward,
            )
        )
    return questions


def format_answer(position: tuple[float, float]) -> str:
    """The plain answer that states a position, in 1/1000 of the image's sides."""
    x, y = _integers(position)
    return ANSWER.format(x=x, y=y)


def parse_answer(text: str) -> tuple[float, float] | None:
    """Reads the first `(x, y)` outside of thoughts; None without one, or if it is not finite."""
    found = tuples(without_thoughts(text).replace("\N{MINUS SIGN}", "-"), 2)
    if not found or not all(map(math.isfinite, found[0])):
        return None
    x, y = found[0]
    return x, y


def to_pixel(position: tuple[float, float], width: int, height: int) -> tuple[float, float]:
    """The pixel at a position, which is in 1/1000 of the sides of an image of this size."""
    return position[0] / COORDINATE_SCALE * width, position[1] / COORDINATE_SCALE * height


def score(
    predictions: Sequence[tuple[float, float] | None],
    truths: np.ndarray | Sequence[tuple[float, float]],
    resolution: np.ndarray | tuple[int, int],
) -> CorrespondenceScore:
    """Scores parsed answers, None where one could not be parsed.

    Args:
        predictions: positions in 1/1000 of the image's sides, N.
        truths: labels in the same unit, [N, 2].
        resolution: width and height of the image whose pixels errors are stated in, [2] for all
            questions or [N, 2].

    Raises:
        BadInput: there is nothing to score.
    """
    if not len(predictions):
        raise BadInput(
            "there are no correspondence questions to score: check the dataset and its split."
        )
    truths = np.asarray(truths, np.float64).reshape(-1, 2)
    sizes = np.broadcast_to(np.asarray(resolution, np.float64), truths.shape)
    errors, errors_px = [], []
    for prediction, truth, (width, height) in zip(predictions, truths, sizes, strict=True):
        if prediction is not None:
            x, y = float(prediction[0] - truth[0]), float(prediction[1] - truth[1])
            errors.append(math.hypot(x, y))
            errors_px.append(
                math.hypot(x * width / COORDINATE_SCALE, y * height / COORDINATE_SCALE)
            )
    total = len(predictions)
    under = [sum(error < limit for error in errors_px) / total for limit in (1, 3, 5)]
    return CorrespondenceScore(
        epe_mean=mean(errors),
        epe_median=median(errors),
        epe_px_mean=mean(errors_px),
        epe_px_median=median(errors_px),
        under_1_px=under[0],
        under_3_px=under[1],
        under_5_px=under[2],
        unparsed=1 - len(errors) / total,
        num_questions=total,
        num_unparsed=total - len(errors),
    )


def _think_answer(point: tuple[int, int], truth: tuple[float, float], backward: bool) -> str:
    asked, other = ("second", "first") if backward else ("first", "second")
    x2, y2 = _integers(truth)
    return THINK_ANSWER.format(x1=point[0], y1=point[1], x2=x2, y2=y2, asked=asked, other=other)


def _integers(position: tuple[float, float]) -> tuple[int, int]:
    return normalize_point(*position, COORDINATE_SCALE, COORDINATE_SCALE, COORDINATE_SCALE)
