"""Correspondence in the report."""

import math
from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from PIL import Image

from vlm3_jax.data.records import PairRecord
from vlm3_jax.evaluation.page.grouping import Line, binned, by_image, ranked
from vlm3_jax.evaluation.page.thumbnails import (
    FONT_SIZE_OF_TWO,
    LONGER_SIDE_OF_TWO,
    numbers,
    thumbnail,
)
from vlm3_jax.evaluation.picture import draw_matches
from vlm3_jax.page.charts import Axis, histogram, number
from vlm3_jax.page.plots import Points, bars, curves, scatter
from vlm3_jax.tasks.correspondence import COORDINATE_SCALE, to_pixel

PAIRS = True
RANKED_BY = "mean end-point error of a pair's questions; an answer that cannot be read is worst"
_DISPLACEMENTS = (10, 25, 50, 100, 200, 400)  # Pixels.
_UNREAD = 1e4  # Of an error in 1/1000, for ranking.
_ERRORS = np.geomspace(0.5, 1000, 34)


def charts(lines: Sequence[Line]) -> list[Markup]:
    """Said against true, how errors are spread, and errors by how far a point moves."""
    read = [line for line in lines if line["parsed"] is not None]
    errors = np.array([_error(line) for line in read])
    return [
        *_compared(read),
        *_spread(errors),
        _under(errors, len(lines)),
        *_by_displacement(read, errors),
    ]


def samples(lines: Sequence[Line]) -> list[list[Line]]:
    """Pairs with their answers, the best first."""
    groups = by_image(lines, "backward")
    return ranked(groups, lambda group: float(np.mean([_badness(line) for line in group])))


def pictures(record: PairRecord, lines: Sequence[Line]) -> list[Image.Image]:
    """Both views, the points asked about joined to what was said, and that to what is true."""
    # The view with the points asked about is on the left.
    images = record.images[::-1] if lines[0]["backward"] else record.images
    (image_1, factor), (image_2, _) = (
        thumbnail(data, record.key, LONGER_SIDE_OF_TWO) for data in images
    )
    height, width = image_2.shape[:2]
    points = [tuple(factor * x for x in line["point_xy"]) for line in lines]
    said = [line["parsed"] and to_pixel(line["parsed"], width, height) for line in lines]
    truths = [to_pixel(line["truth"], width, height) for line in lines]
    names = numbers(len(points))
    return [draw_matches(image_1, image_2, points, said, truths, names, FONT_SIZE_OF_TWO)]


def answers(lines: Sequence[Line]) -> tuple[list[str], list[list[str]]]:
    """What was said to each question: the head and the rows of a table."""
    rows = [
        [
            f"{place}",
            "no position" if line["parsed"] is None else _position(line["parsed"]),
            _position(line["truth"]),
            "-" if line["parsed"] is None else number(_error(line)),
        ]
        for place, line in enumerate(lines, start=1)
    ]
    return ["Point", "Said", "True", "Error"], rows


def gist(lines: Sequence[Line]) -> str:
    """How good the answers are, in few words."""
    errors = [_error(line) for line in lines if line["parsed"] is not None]
    unread = len(lines) - len(errors)
    mean = f"mean error {number(float(np.mean(errors)))} of 1000" if errors else "no position"
    return mean + (f", {unread} cannot be read" if unread and errors else "")


def _error(line: Line) -> float:
    """End-point error in 1/1000 of the sides."""
    return math.dist(line["parsed"], line["truth"])


def _badness(line: Line) -> float:
    return _UNREAD if line["parsed"] is None else min(_error(line), _UNREAD)


def _position(position: Sequence[float]) -> str:
    return f"({number(position[0])}, {number(position[1])})"


def _compared(read: Sequence[Line]) -> list[Markup]:
    if not read:
        return []
    axes = [Axis(label, 0, COORDINATE_SCALE) for label in ("true position, 1/1000", "said, 1/1000")]
    pairs = np.array([[line["truth"], line["parsed"]] for line in read])  # [N, 2, 2]
    groups = [Points("x", pairs[:, :, 0]), Points("y", pairs[:, :, 1], hollow=True)]
    return [scatter(*axes, groups, "Said against true")]


def _spread(errors: np.ndarray) -> list[Markup]:
    if not errors.size:
        return []
    counts, _ = np.histogram(np.clip(errors, _ERRORS[0], _ERRORS[-1]), _ERRORS)
    label = "error, 1/1000; less and more are in the outer bars"
    title = "End-point errors"
    return [histogram(_ERRORS.tolist(), counts.tolist(), title, label, "answers", True)]


def _under(errors: np.ndarray, total: int) -> Markup:
    points = [(float(limit), float((errors < limit).sum() / total)) for limit in _ERRORS]
    x = Axis("limit, 1/1000", _ERRORS[0], _ERRORS[-1], log=True)
    y = Axis("share of all questions", 0, 1, percent=True)
    return curves(x, [("error below the limit", points)], y, "How many are how near")


def _by_displacement(read: Sequence[Line], errors: np.ndarray) -> list[Markup]:
    if not read:
        return []
    moves = [math.dist(line["point_xy"], line["truth_xy"]) for line in read]
    found = [
        (name, float(np.median(errors[places])), len(places))
        for name, places in binned(moves, _DISPLACEMENTS, " px")
    ]
    rows = [(name, middle, f"{number(middle)} (n {n:,})") for name, middle, n in found]
    largest = max(middle for _, middle, _ in found)
    return [bars(rows, largest, "Median error (1/1000), by how far the point moves")]
