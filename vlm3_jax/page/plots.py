"""Plots of measurements against each other, and of figures by group."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from vlm3_jax.page.charts import Axis, chart, number, place
from vlm3_jax.page.document import part

MOST_POINTS = 400  # More would hide each other, and make pages slow.
_CURVES = ("curve", "curve dashed", "curve dotted")


@dataclass(frozen=True)
class Points:
    """Points of one kind in a scatter plot."""

    name: str
    xy: np.ndarray
    """[N, 2]."""
    hollow: bool = False
    """Drawn as rings, else as discs: kinds are told apart without colours too."""


def limits(values: np.ndarray, log: bool) -> tuple[float, float]:
    """Ends of an axis that leaves room around values, which must be positive where `log`."""
    low, high = float(np.min(values)), float(np.max(values))
    if log:
        return low / 1.25, high * 1.25
    room = 0.05 * (high - low) or max(abs(low), 1.0) / 2
    return low - room, high + room


def scatter(
    x: Axis,
    y: Axis,
    groups: Sequence[Points],
    title: str,
    band: float | None = None,
    equal: bool = True,
) -> Markup:
    """Values against each other.

    Points beyond an axis are drawn at its end. Of more than `MOST_POINTS` so many are drawn, chosen
    at random; what is left out and what lies beyond is told below.

    Args:
        x: to the right.
        y: upwards.
        groups: drawn in order.
        title: stands above it.
        band: a factor; where y is within it of x is shaded. The axes must be logarithmic.
        equal: draw the line of y = x.
    """
    total = sum(len(group.xy) for group in groups)
    rng = np.random.default_rng(0)
    kept = np.zeros(total, bool)
    kept[rng.permutation(total)[:MOST_POINTS]] = True
    marks: list[Markup] = []
    if band is not None:
        marks.append(_band(x, y, band))
    if equal:
        low, high = max(x.low, y.low), min(x.high, y.high)
        marks.append(_path("diagonal", [place(x, y, (low, low)), place(x, y, (high, high))]))
    start = beyond = 0
    for group in groups:
        shown = group.xy[kept[start : start + len(group.xy)]]
        start += len(group.xy)
        ends = [x.low, y.low], [x.high, y.high]
        beyond += int(((shown < ends[0]) | (shown > ends[1])).any(axis=1).sum())
        marks += [
            _circle(group.hollow, *place(x, y, tuple(xy))) for xy in np.clip(shown, *ends).tolist()
        ]
    named = [group for group in groups if group.name]
    notes = [f"{_circle_name(group.hollow)} {group.name} ({len(group.xy):,})" for group in named]
    if total > MOST_POINTS:
        notes.append(f"{MOST_POINTS:,} of {total:,} drawn, at random")
    if beyond:
        notes.append(f"{beyond:,} beyond the axes, drawn at their ends")
    summary = f"{total:,} points. {'; '.join(notes)}."
    return chart(x, y, marks, title, summary, notes)


def curves(
    x: Axis, lines: Sequence[tuple[str, Sequence[tuple[float, float]]]], y: Axis, title: str
) -> Markup:
    """Up to three lines, each with a name and points from left to right."""
    marks, notes = [], []
    strokes = ("solid", "dashed", "dotted")
    for kind, stroke, (name, points) in zip(_CURVES, strokes, lines, strict=False):
        marks.append(_path(kind, [place(x, y, point) for point in points]))
        notes.append(f"{stroke}: {name}")
    last = "; ".join(f"{name} ends at {number(points[-1][1])}" for name, points in lines)
    return chart(x, y, marks, title, f"{last}.", notes)


def bars(
    rows: Sequence[tuple[str, float | None, str]], full: float, title: str, note: str = ""
) -> Markup:
    """Figures by group, each as a bar and in words.

    Args:
        rows: name, figure (None: there is none), and its text.
        full: figure of a bar of full length.
        title: stands above them.
        note: stands below them.
    """
    drawn = [
        (name, text, 0.0 if value is None else round(min(100.0, 100 * value / (full or 1)), 1))
        for name, value, text in rows
    ]
    return part("shares", title, drawn, [note] if note else [])


def _band(x: Axis, y: Axis, factor: float) -> Markup:
    """Where y / x is between 1 / factor and factor, cut at the axes' ends."""
    corners = []
    for ratio in (1 / factor, factor):
        low, high = max(x.low, y.low / ratio), min(x.high, y.high / ratio)
        ends = [(low, low * ratio), (high, high * ratio)]
        corners.append([place(x, y, end) for end in ends])
    below, above = corners
    # Where both edges end at different sides of the frame, its corner lies between them.
    first = place(x, y, (max(x.low, y.low), max(x.low, y.low)))
    last = place(x, y, (min(x.high, y.high), min(x.high, y.high)))
    outline = [first, *below, last, *reversed(above)]
    text = " ".join(f"{a:g},{b:g}" for a, b in outline)
    return Markup('<polygon class="band" points="{}"/>').format(text)


def _path(kind: str, points: Sequence[tuple[float, float]]) -> Markup:
    text = " ".join(f"{a:g},{b:g}" for a, b in points)
    return Markup('<polyline class="{}" points="{}"/>').format(kind, text)


def _circle(hollow: bool, x: float, y: float) -> Markup:
    kind, radius = ("ring", 2.6) if hollow else ("disc", 2.2)
    return Markup('<circle class="{}" cx="{:g}" cy="{:g}" r="{}"/>').format(kind, x, y, radius)


def _circle_name(hollow: bool) -> str:
    return "○" if hollow else "●"
