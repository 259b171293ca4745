"""Depth of a point, asked and answered in text (VLM3, arXiv 2605.30561).

A point is named by integers of its position in the image; the answer is in metres.
"""

import dataclasses
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.camera import Camera
from vlm3_jax.geometry.pixels import check_points, normalize_point, scale_points
from vlm3_jax.tasks.averages import mean, root_mean_square
from vlm3_jax.tasks.certainty import Certainty, read_certainty
from vlm3_jax.tasks.reading import without_thoughts

COORDINATE_SCALE = 2000

# The released checkpoint was trained on exactly these bytes.
PROMPT = (
    "Given this image, how far is the point at coordinates ({x}, {y}) from the camera?"
    " The coordinates are in normalised [0, 2000] format relative to image width and height."
    " Output the thinking process in <think> </think> and final answer (the meter number only,"
    " without the unit) in <answer> </answer> tags."
)

# DepthLM's form, which VLM3 was trained near.
ANSWER = (
    "<think> The point is around {depth:.2f} meters away from the camera. </think>\n\n"
    "<answer> {depth:.2f} </answer>"
)

# The pattern of VLM3's released notebook, whose \d would also take digits of other scripts.
_ANSWER = re.compile(r"<answer>\s*([-+]?[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?)\s*</answer>")
_DELTA1 = 1.25


@dataclass(frozen=True)
class Question:
    """One point and what is said of it."""

    prompt: str
    answer: str
    truth: float
    """The label as it was given, not rounded to the answer's decimals; metres."""
    point_xy: tuple[float, float]
    """Pixel of the original image, before any resize."""


@dataclass(frozen=True)
class DepthScore:
    """Share of points with max(prediction/truth, truth/prediction) < 1.25."""

    delta1: float
    """Over all questions: an answer that cannot be parsed or is not positive is wrong."""
    delta1_parsed_only: float | None
    """Over the parsed, positive answers only, as VLM3's notebook counts; None without any."""
    abs_rel: float | None
    """Mean of |prediction - truth| / truth over the parsed, positive answers; None without any."""
    rmse: float | None
    """Root of the mean squared error over the same answers, metres; None without any."""
    num_questions: int
    num_unparsed: int
    num_nonpositive: int


def prompts(camera: Camera, unified: Camera, points_xy: np.ndarray) -> list[str]:
    """Asks for the depth of points.

    Args:
        camera: camera of the original image.
        unified: camera of the image that the model is shown; `camera` itself if it is not resized.
        points_xy: pixels of the original image, [N, 2].

    Raises:
        BadInput: a point is outside the image.
    """
    points_xy = np.asarray(points_xy, np.float64).reshape(-1, 2)
    check_points(points_xy, camera.width, camera.height)
    shown = scale_points(points_xy, camera, unified)
    names = [normalize_point(*xy, unified.width, unified.height, COORDINATE_SCALE) for xy in shown]
    return [PROMPT.format(x=x, y=y) for x, y in names]


def ask(
    camera: Camera, unified: Camera, points_xy: np.ndarray, depth_m: np.ndarray
) -> list[Question]:
    """Makes a question with its answer of every labelled point.

    Args:
        camera: see `prompts`.
        unified: see `prompts`.
        points_xy: see `prompts`.
        depth_m: their labels in metres, [N].

    Raises:
        BadInput: a point is outside the image.
    """
    points = [(float(x), float(y)) for x, y in points_xy]
    depths = [float(depth) for depth in depth_m]
    texts = prompts(camera, unified, points_xy)
    return [
        Question(prompt=text, answer=format_answer(depth), truth=depth, point_xy=point)
        for text, depth, point in zip(texts, depths, points, strict=True)
    ]


def format_answer(depth_m: float) -> str:
    """The answer that states a depth to two decimals."""
    return ANSWER.format(depth=depth_m)


def parse_answer(text: str) -> float | None:
    """Reads the metres of an answer; None where there is no finite number in answer tags.

    Of several answers the first counts; one inside a thought is none.
    """
    match = _ANSWER.search(without_thoughts(text))
    value = float(match[1]) if match else math.nan
    return value if math.isfinite(value) else None


def score(predictions: Sequence[float | None], truths: Sequence[float]) -> DepthScore:
    """Scores parsed answers, None where one could not be parsed, against labels in metres.

    Raises:
        BadInput: there is nothing to score.
    """
    if not predictions:
        raise BadInput("there are no depth questions to score: check the dataset and its split.")
    pairs = list(zip(predictions, truths, strict=True))
    unparsed = sum(prediction is None for prediction, _ in pairs)
    usable = [(p, t) for p, t in pairs if p is not None and p > 0]
    correct = sum(is_correct(prediction, truth) for prediction, truth in usable)
    return DepthScore(
        delta1=correct / len(pairs),
        delta1_parsed_only=correct / len(usable) if usable else None,
        abs_rel=mean([abs(prediction - truth) / truth for prediction, truth in usable]),
        rmse=root_mean_square([prediction - truth for prediction, truth in usable]),
        num_questions=len(pairs),
        num_unparsed=unparsed,
        num_nonpositive=len(pairs) - unparsed - len(usable),
    )


def is_correct(prediction: float | None, truth: float) -> bool:
    """Whether a prediction is within a factor of 1.25 of the label (delta1, strict)."""
    if prediction is None or prediction <= 0:
        return False
    return max(prediction / truth, truth / prediction) < _DELTA1


def certainty(values: np.ndarray, probabilities: np.ndarray) -> Certainty:
    """How certain a depth is, of which these values have these probabilities.

    Args:
        values: metres, [N].
        probabilities: [N]; their sum is at most 1.
    """
    return read_certainty(values, probabilities, _DELTA1)


def certainty_record(certainty: Certainty) -> dict[str, float | None]:
    """The certainty of a depth as it is written to files, in metres where it has a unit."""
    record = dataclasses.asdict(certainty)
    return {"likely_metres": record.pop("likely")} | record


def best_constant(depths: Sequence[float]) -> tuple[float, float]:
    """The single answer that is right most often, and its delta1: what a blind model can reach.

    A constant is right for the depths of a window whose ends differ by less than 1.25 squared, and
    the geometric mean of the ends is right for all of them.

    Raises:
        BadInput: there are no depths.
    """
    if len(depths) == 0:
        raise BadInput(
            "there are no depths to choose a constant from: check the dataset and split."
        )
    lows = np.sort(np.asarray(depths, np.float64))
    # The margin keeps a window of exactly 1.25 squared out where rounding would let it in.
    ends = np.searchsorted(lows, lows * (_DELTA1**2 * (1 - 1e-12)), side="left")
    first = int(np.argmax(ends - np.arange(len(lows))))
    constant = float(np.sqrt(lows[first] * lows[ends[first] - 1]))
    return constant, score([constant] * len(lows), lows.tolist()).delta1
