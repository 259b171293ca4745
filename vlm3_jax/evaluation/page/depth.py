"""Depth in the report."""

import math
from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from PIL import Image

from vlm3_jax.data.records import DepthRecord
from vlm3_jax.evaluation.page.grouping import Line, binned, by_image, ranked
from vlm3_jax.evaluation.page.thumbnails import FONT_SIZE, numbers, thumbnail
from vlm3_jax.evaluation.picture import draw_points
from vlm3_jax.page.charts import Axis, histogram, number
from vlm3_jax.page.plots import Points, bars, limits, scatter
from vlm3_jax.tasks.depth import is_correct

PAIRS = False
RANKED_BY = (
    "mean |log(said / true)| over an image's questions; an answer without a usable number is worst"
)
_BAND = 1.25
_EDGES = (0.5, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96)  # Metres.
_WORST = 1e3  # Of |log ratio|: above that of any two lengths that mean something.
_RATIOS = np.geomspace(0.25, 4, 26)


def charts(lines: Sequence[Line]) -> list[Markup]:
    """Said against true, what is right by distance, and how far answers are off."""
    usable = [line for line in lines if _usable(line)]
    truths = [line["truth"] for line in lines]
    return [*_compared(usable), _by_distance(lines, truths), *_ratios(usable)]


def samples(lines: Sequence[Line]) -> list[list[Line]]:
    """Images with their answers, the best first."""
    return ranked(by_image(lines), lambda group: float(np.mean([_error(line) for line in group])))


def pictures(record: DepthRecord, lines: Sequence[Line]) -> list[Image.Image]:
    """The view with its points numbered."""
    image, factor = thumbnail(record.image, record.key)
    points = [tuple(factor * x for x in line["point_xy"]) for line in lines]
    return [draw_points(image, points, numbers(len(points)), font_size=FONT_SIZE)]


def answers(lines: Sequence[Line]) -> tuple[list[str], list[list[str]]]:
    """What was said to each question: the head and the rows of a table."""
    rows = [
        [
            f"{place}",
            "no number" if line["parsed"] is None else f"{number(line['parsed'])} m",
            f"{number(line['truth'])} m",
            "yes" if is_correct(line["parsed"], line["truth"]) else "no",
        ]
        for place, line in enumerate(lines, start=1)
    ]
    return ["Point", "Said", "True", "Within 1.25"], rows


def gist(lines: Sequence[Line]) -> str:
    """How good the answers are, in few words."""
    right = sum(is_correct(line["parsed"], line["truth"]) for line in lines)
    return f"{right} of {len(lines)} within a factor of 1.25"


def _usable(line: Line) -> bool:
    return line["parsed"] is not None and line["parsed"] > 0


def _error(line: Line) -> float:
    if not _usable(line):
        return _WORST
    return min(abs(math.log(line["parsed"]) - math.log(line["truth"])), _WORST)


def _compared(usable: Sequence[Line]) -> list[Markup]:
    if not usable:
        return []
    xy = np.array([[line["truth"], line["parsed"]] for line in usable])
    right = np.array([is_correct(*pair[::-1]) for pair in xy.tolist()])
    ends = limits(xy[:, 0], log=True)
    axes = [Axis(label, *ends, log=True) for label in ("true depth, m", "said, m")]
    groups = [Points("within 1.25", xy[right]), Points("not", xy[~right], hollow=True)]
    return [scatter(*axes, groups, "Said against true", band=_BAND)]


def _by_distance(lines: Sequence[Line], truths: Sequence[float]) -> Markup:
    right = np.array([is_correct(line["parsed"], line["truth"]) for line in lines])
    rows = []
    for name, places in binned(truths, _EDGES, " m"):
        share = float(right[places].mean())
        rows.append((name, share, f"{100 * share:.0f}% of {len(places):,}"))
    return bars(rows, 1, "Within a factor of 1.25, by true depth")


def _ratios(usable: Sequence[Line]) -> list[Markup]:
    if not usable:
        return []
    logs = [math.log(line["parsed"]) - math.log(line["truth"]) for line in usable]
    ratios = np.exp(np.clip(logs, math.log(_RATIOS[0]), math.log(_RATIOS[-1])))
    # Rounding must not take the outermost out of the outermost bins.
    counts, _ = np.histogram(np.clip(ratios, _RATIOS[0], _RATIOS[-1]), _RATIOS)
    label = "said / true; 0.25 and less, 4 and more are in the outer bars"
    return [
        histogram(_RATIOS.tolist(), counts.tolist(), "Too near or too far", label, "answers", True)
    ]
