"""Figures of several rounds, and the lines that show them."""

from collections.abc import Sequence
from statistics import median


def stats(values: Sequence[float]) -> dict[str, float]:
    """What rounds are summed up to."""
    return {"median": median(values), "least": min(values), "most": max(values)}


def rate(amount: float, seconds: Sequence[float]) -> dict[str, float]:
    """An amount a second, of rounds that took so long."""
    return stats([amount / value for value in seconds])


def spread(values: dict[str, float], digits: int) -> str:
    """`stats` as text."""
    middle, least, most = (f"{values[name]:.{digits}f}" for name in ("median", "least", "most"))
    return f"{middle} ({least} to {most})"


def line(title: str, cells: Sequence[str]) -> str:
    """A line of a table with a column a side."""
    return f"{title:24}" + "".join(f"{cell:>32}" for cell in cells)
