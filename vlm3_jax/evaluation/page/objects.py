"""Objects in the report."""

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from PIL import Image

from vlm3_jax.data.records import RegionRecord
from vlm3_jax.evaluation.page.grouping import Line, ranked
from vlm3_jax.evaluation.page.thumbnails import FONT_SIZE, numbers, thumbnail
from vlm3_jax.evaluation.picture import draw_boxes
from vlm3_jax.page.charts import Axis, number
from vlm3_jax.page.plots import Points, bars, limits, scatter
from vlm3_jax.tasks.objects.boxes import COORDINATE_SCALE
from vlm3_jax.tasks.objects.questions import CATEGORIES, DIRECTION, LENGTHS, QUANTITATIVE

PAIRS = False
RANKED_BY = "whether the answer is right, and how certain the model was of it"
_BAND = 1.25


def charts(lines: Sequence[Line]) -> list[Markup]:
    """What is right by category, and lengths against true ones."""
    scored = [line for line in lines if line["category"]]
    qualitative = [line for line in scored if line["category"] not in QUANTITATIVE]
    quantitative = [line for line in scored if line["category"] in QUANTITATIVE]
    return [
        *_by_category(qualitative, "Right, by qualitative category"),
        *_by_category(quantitative, "Within 25% (an hour), by quantitative category"),
        *_lengths(quantitative),
    ]


def samples(lines: Sequence[Line]) -> list[list[Line]]:
    """Questions one by one, the best first."""
    return ranked([[line] for line in lines if line["category"]], lambda group: _badness(*group))


def pictures(record: RegionRecord, lines: Sequence[Line]) -> list[Image.Image]:
    """The image with the boxes of the question, numbered in its order."""
    (line,) = lines
    image, _ = thumbnail(record.image, record.key)
    height, width = image.shape[:2]
    scale = np.array([width, height, width, height]) / COORDINATE_SCALE
    boxes = [(scale * box).tolist() for box in line["boxes"]]
    return [draw_boxes(image, boxes, numbers(len(boxes)), FONT_SIZE)]


def answers(lines: Sequence[Line]) -> tuple[list[str], list[list[str]]]:
    """What was said: the head and the row of a table."""
    rows = [
        [
            line["category"].removesuffix("_data").replace("_", " "),
            _text(line["category"], line["parsed"], "cannot be read"),
            _text(line["category"], line["truth"], line["truth_text"]),
            "yes" if line["score"] else "no",
        ]
        for line in lines
    ]
    return ["Category", "Said", "True", "Right"], rows


def gist(lines: Sequence[Line]) -> str:
    """How good the answer is, in few words."""
    (line,) = lines
    return "right" if line["score"] else "wrong"


def _badness(line: Line) -> tuple[bool, float]:
    """Of right answers the more certain are the better ones, of wrong answers the worse."""
    certain = line["log_probability"]
    return not line["score"], -certain if line["score"] else certain


def _by_category(lines: Sequence[Line], title: str) -> list[Markup]:
    if not lines:
        return []
    scores: dict[str, list[int]] = {}
    for line in sorted(lines, key=lambda line: CATEGORIES.index(line["category"])):
        scores.setdefault(line["category"], []).append(line["score"])
    rows = []
    for category, values in scores.items():
        share = sum(values) / len(values)
        name = category.removesuffix("_data").replace("_", " ")
        rows.append((name, share, f"{100 * share:.0f}% of {len(values):,}"))
    return [bars(rows, 1, title)]


def _lengths(lines: Sequence[Line]) -> list[Markup]:
    read = [
        line for line in lines if line["category"] in LENGTHS and line["parsed"] and line["truth"]
    ]
    if not read:
        return []
    xy = np.array([[line["truth"], line["parsed"]] for line in read], np.float64)
    right = np.array([bool(line["score"]) for line in read])
    ends = limits(xy[:, 0], log=True)
    axes = [Axis(label, *ends, log=True) for label in ("true length, m", "said, m")]
    groups = [Points("within 25%", xy[right]), Points("not", xy[~right], hollow=True)]
    return [scatter(*axes, groups, "Lengths: said against true", band=_BAND)]


def _text(category: str, value: bool | int | float | None, missing: str) -> str:
    if value is None:
        return missing
    if category == DIRECTION:
        return f"{value} o'clock"
    if category in LENGTHS:
        return f"{number(value)} m"
    return ("no", "yes")[value] if category.endswith("_predicate") else f"object {value + 1}"
