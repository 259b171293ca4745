"""Figures of several rounds, and how they are shown."""

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
