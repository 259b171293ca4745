"""Charts of a page as inline SVG."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from vlm3_jax.page.document import part

WIDTH, HEIGHT = 360, 210
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 348, 22, 164
_NEAR_TICKS = 34  # Units of the drawing; texts that are nearer to each other would touch.


@dataclass(frozen=True)
class Axis:
    """One axis of a chart: which values it shows, and where."""

    label: str
    """What is measured, with its unit."""
    low: float
    high: float
    log: bool = False
    percent: bool = False
    """Values are shares, and written in percent."""

    def at(self, value: float) -> float:
        """How far along the axis a value is, 0 to 1 between its ends."""
        low, high, value = (
            (math.log(v) for v in (self.low, self.high, value))
            if self.log
            else (self.low, self.high, value)
        )
        return (value - low) / (high - low)

    def ticks(self) -> list[tuple[float, str]]:
        """Round values between the ends, and their texts."""
        values = _log_ticks(self.low, self.high) if self.log else _ticks(self.low, self.high)
        return [(value, f"{100 * value:g}%" if self.percent else number(value)) for value in values]


def number(value: float) -> str:
    """A figure as a reader wants it: up to three significant digits, thousands apart."""
    if value == 0 or 1e-3 <= abs(value) < 1e6:
        digits = 0 if value == 0 else max(0, 2 - math.floor(math.log10(abs(value))))
        text = f"{value:,.{digits}f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    return f"{value:.3g}"


def place(x: Axis, y: Axis, point: tuple[float, float]) -> tuple[float, float]:
    """Where a point of the data lies in the drawing of `chart`."""
    return (
        round(_LEFT + x.at(point[0]) * (_RIGHT - _LEFT), 2),
        round(_BOTTOM - y.at(point[1]) * (_BOTTOM - _TOP), 2),
    )


def chart(x: Axis, y: Axis, marks: Sequence[Markup], title: str, summary: str) -> Markup:
    """A drawing with two axes.

    Args:
        x: the axis to the right.
        y: the axis upwards.
        marks: SVG elements placed with `place`; classes mark, mark-2, line, line-2 have colours.
        title: stands above it.
        summary: what it shows in a sentence, for who cannot see it.
    """
    across = {"label": x.label, "ticks": []}
    for value, text in x.ticks():
        along = place(x, y, (value, y.low))[0]
        if not across["ticks"] or along - across["ticks"][-1][0] >= _NEAR_TICKS:
            across["ticks"].append((along, text))
    up = {
        "label": y.label,
        "ticks": [(place(x, y, (x.low, value))[1], text) for value, text in y.ticks()],
    }
    box = {"left": _LEFT, "right": _RIGHT, "bottom": _BOTTOM}
    return part("chart", WIDTH, HEIGHT, box, across, up, Markup("\n").join(marks), title, summary)


def histogram(
    edges: Sequence[float],
    counts: Sequence[int],
    title: str,
    label: str,
    counted: str,
    log: bool = False,
) -> Markup:
    """How often values lie between edges.

    Args:
        edges: of the bins, ascending, one more than bins; positive where `log`.
        counts: of each bin.
        title: stands above it.
        label: of the values, or their unit, or ''.
        counted: what is counted, as 'points'.
        log: draw the values by their logarithm.
    """
    total = sum(counts)
    shares = [count / max(total, 1) for count in counts]
    x = Axis(label, edges[0], edges[-1], log)
    y = Axis(f"share of {number(total)} {counted}", 0, max([*shares, 1e-3]) * 1.05, percent=True)
    marks = []
    for low, high, count, share in zip(edges, edges[1:], counts, shares, strict=False):
        left, top = place(x, y, (low, share))
        right = place(x, y, (high, 0))[0]
        text = f"{number(low)} to {number(high)}: {count:,} {counted}, {100 * share:.1f}%"
        gap = min(1.0, (right - left) / 5)
        marks.append(_rect("mark", left + gap / 2, right - gap / 2, top, ""))
        marks.append(_rect("hover", left, right, _TOP, text))
    fullest = max(range(len(counts)), key=counts.__getitem__)
    where = f" ({label})" if label else ""
    summary = (
        f"{total:,} {counted} from {number(edges[0])} to {number(edges[-1])}{where}; most,"
        f" {100 * shares[fullest]:.0f}%, between {number(edges[fullest])} and"
        f" {number(edges[fullest + 1])}."
    )
    return chart(x, y, marks, title, summary)


def shares(values: Mapping[str, int], title: str, most: int = 10) -> Markup:
    """Counts of named things as bars, the largest first; what comes after `most` is one bar."""
    ordered = sorted(values.items(), key=lambda item: -item[1])
    rest = sum(count for _, count in ordered[most:])
    if rest:
        ordered = [*ordered[:most], (f"{len(values) - most} others", rest)]
    total, largest = max(sum(values.values()), 1), max([*values.values(), 1])
    rows = [
        (
            name,
            f"{count:,} ({100 * count / total:.1f}%)",
            min(100.0, round(100 * count / largest, 1)),
        )
        for name, count in ordered
    ]
    return part("shares", title, rows)


def _rect(kind: str, left: float, right: float, top: float, text: str) -> Markup:
    title = Markup("<title>{}</title>").format(text) if text else Markup("")
    return Markup('<rect class="{}" x="{:.2f}" y="{:.2f}" width="{:.2f}" height="{:.2f}">').format(
        kind, left, top, right - left, _BOTTOM - top
    ) + Markup("{}</rect>").format(title)


def _ticks(low: float, high: float) -> list[float]:
    step = _round_up((high - low) / 5)
    return [round(i * step, 12) for i in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten, with 2 and 5 of each where there is room; even ones over a narrow range."""
    if high / low < 4:
        return _ticks(low, high)
    steps = (1,) if high / low > 1e3 else (1, 2, 5)
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    values = [step * 10.0**decade for decade in decades for step in steps]
    return [value for value in values if low <= value <= high]


def _round_up(step: float) -> float:
    decade = 10 ** math.floor(math.log10(step))
    return next(decade * factor for factor in (1, 2, 5, 10) if decade * factor >= step * 0.999)
