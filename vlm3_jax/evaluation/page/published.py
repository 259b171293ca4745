"""Figures of other models, as their papers give them."""

import math
import tomllib
from dataclasses import dataclass
from pathlib import Path

_FILE = Path(__file__).with_name("published.toml")


@dataclass(frozen=True)
class Column:
    """A metric of a benchmark."""

    name: str
    benchmark: str
    """Name in `configs/eval.py`."""
    metric: str
    """Name in results."""
    percent: bool
    """Published times 100."""
    digits: int

    def text(self, value: float | None) -> str:
        """A figure of ours as it is published."""
        return format_figure(value, self.percent, self.digits)


@dataclass(frozen=True)
class Table:
    """What was published about a task."""

    title: str
    source: str
    comparable: str
    """Whether our figures may be held against these, in a sentence or two."""
    columns: tuple[Column, ...]
    mean: bool
    """Whether the last value of each row is the mean of its columns."""
    rows: tuple[tuple[str, tuple[str, ...]], ...]
    """Models and their figures, in the order of the columns; '-' where there is none."""


def format_figure(value: float | None, percent: bool, digits: int) -> str:
    """A figure with so many decimals; '-' where there is none."""
    if value is None or math.isnan(value):
        return "-"
    value *= 100 if percent else 1
    return f"{value:.{digits}f}" if abs(value) < 1e6 else f"{value:.2g}"


def read() -> dict[str, Table]:
    """All tables by task."""
    return {task: _table(raw) for task, raw in tomllib.loads(_FILE.read_text()).items()}


def _table(raw: dict) -> Table:
    digits, percent = raw["digits"], raw.get("percent", False)
    columns = tuple(
        Column(
            name=column["name"],
            benchmark=column["benchmark"],
            metric=column.get("metric", raw["metric"]),
            percent=column.get("percent", percent),
            digits=digits,
        )
        for column in raw["columns"]
    )
    rows = tuple(
        (row["model"], tuple(format_figure(value, False, digits) for value in row["values"]))
        for row in raw["rows"]
    )
    return Table(
        title=raw["title"],
        source=raw["source"],
        comparable=raw["comparable"],
        columns=columns,
        mean=raw.get("mean", False),
        rows=rows,
    )
