"""Camera pose in the report."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from markupsafe import Markup
from PIL import Image

from vlm3_jax.data.records import PairRecord
from vlm3_jax.evaluation.page.grouping import Line, binned, by_image, ranked
from vlm3_jax.evaluation.page.thumbnails import LONGER_SIDE_OF_TWO, thumbnail
from vlm3_jax.geometry.pose import from_yaw_pitch_roll, rotation_angle_degrees
from vlm3_jax.page.charts import Axis, number
from vlm3_jax.page.plots import Points, bars, curves, limits, scatter
from vlm3_jax.tasks.pose.scoring import PoseAnswer, pair_errors
from vlm3_jax.tasks.pose.wordings import ANGLE, DIRECTION, DISTANCE, YAW_PITCH_ROLL

PAIRS = True
RANKED_BY = "the larger of a pair's rotation and direction error; what cannot be read is worst"
_LIMIT = 30  # Degrees.
_ANGLES = (5, 10, 20, 40, 80)
_UNREAD = 360.0  # Of an error in degrees, for ranking.
_NAMES = {
    ANGLE: "rotation angle",
    YAW_PITCH_ROLL: "yaw, pitch, roll",
    DIRECTION: "direction",
    DISTANCE: "distance",
}
_WRITTEN = {ANGLE: "{:.1f}°", YAW_PITCH_ROLL: "{:.1f}°", DIRECTION: "{:.2f}", DISTANCE: "{:.2f} m"}


class _Errors(NamedTuple):
    """Of a pair, degrees; infinite where an answer cannot be read."""

    rotation: float
    direction: float
    angle: float
    """True total angle of the rotation."""

    @property
    def larger(self) -> float:
        return max(self.rotation, self.direction)


def charts(lines: Sequence[Line]) -> list[Markup]:
    """How many pairs are how near, angles and distances against true ones, errors by angle."""
    pairs = [_errors(group) for group in by_image(lines)]
    return [
        _shares(pairs),
        *_compared(lines, ANGLE, "Rotation angles", "°", log=False),
        *_compared(lines, DISTANCE, "Distances", "m", log=True),
        _by_angle(pairs),
    ]


def samples(lines: Sequence[Line]) -> list[list[Line]]:
    """Pairs with their answers, the best first."""
    return ranked(by_image(lines), lambda group: min(_errors(group).larger, _UNREAD))


def pictures(record: PairRecord, lines: Sequence[Line]) -> list[Image.Image]:
    """Both views, as they are."""
    return [
        Image.fromarray(thumbnail(data, record.key, LONGER_SIDE_OF_TWO)[0])
        for data in record.images
    ]


def answers(lines: Sequence[Line]) -> tuple[list[str], list[list[str]]]:
    """What was said to each question: the head and the rows of a table."""
    rows = [
        [_NAMES[line["kind"]], _text(line, line["parsed"]), _text(line, line["truth"])]
        for line in lines
    ]
    return ["Question", "Said", "True"], rows


def gist(lines: Sequence[Line]) -> str:
    """How good the answers are, in few words."""
    errors = _errors(lines)
    return ", ".join(
        f"{name} {f'{error:.1f}° off' if math.isfinite(error) else 'cannot be read'}"
        for name, error in (("rotation", errors.rotation), ("direction", errors.direction))
    )


def _errors(group: Sequence[Line]) -> _Errors:
    truths = {line["kind"]: line["truth"] for line in group}
    said = {line["kind"]: line["parsed"] for line in group}
    truth = from_yaw_pitch_roll(*truths[YAW_PITCH_ROLL])
    # The direction is not asked where the cameras have one centre.
    translation = np.array(truths.get(DIRECTION, (0, 0, 0)))
    answer = PoseAnswer(yaw_pitch_roll=said[YAW_PITCH_ROLL], direction=said.get(DIRECTION))
    rotation, direction, _ = pair_errors(answer, truth, translation)
    return _Errors(rotation, direction, rotation_angle_degrees(truth))


def _shares(pairs: Sequence[_Errors]) -> Markup:
    names = (
        ("both, as AUC@30 counts", [pair.larger for pair in pairs]),
        ("rotation", [pair.rotation for pair in pairs]),
        ("direction", [pair.direction for pair in pairs]),
    )
    lines = [
        (
            name,
            [(limit, sum(e < limit for e in errors) / len(pairs)) for limit in range(_LIMIT + 1)],
        )
        for name, errors in names
    ]
    x, y = Axis("error, °", 0, _LIMIT), Axis("share of pairs below", 0, 1, percent=True)
    return curves(x, lines, y, "How many pairs are how near")


def _compared(lines: Sequence[Line], kind: str, title: str, unit: str, log: bool) -> list[Markup]:
    pairs = [
        (line["truth"], line["parsed"])
        for line in lines
        if line["kind"] == kind and line["parsed"] is not None
    ]
    xy = np.array([pair for pair in pairs if not log or min(pair) > 0])
    if not xy.size:
        return []
    ends = limits(xy[:, 0], log)
    if not log:
        ends = 0.0, ends[1]
    axes = [Axis(f"{label}, {unit}", *ends, log) for label in ("true", "said")]
    return [scatter(*axes, [Points("", xy)], f"{title}: said against true")]


def _by_angle(pairs: Sequence[_Errors]) -> Markup:
    errors = np.array([pair.rotation for pair in pairs])
    found = [
        (name, float(np.median(errors[places])), len(places))
        for name, places in binned([pair.angle for pair in pairs], _ANGLES, "°")
    ]
    finite = [middle for _, middle, _ in found if math.isfinite(middle)]
    rows = [
        (name, middle, f"{number(middle)}° (n {n:,})")
        if math.isfinite(middle)
        else (name, None, f"most of {n:,} cannot be read")
        for name, middle, n in found
    ]
    return bars(rows, max(finite, default=1), "Median rotation error, by true rotation angle")


def _text(line: Line, value: float | Sequence[float] | None) -> str:
    if value is None:
        return "cannot be read"
    values = value if isinstance(value, Sequence) else [value]
    return ", ".join(map(_WRITTEN[line["kind"]].format, values))
