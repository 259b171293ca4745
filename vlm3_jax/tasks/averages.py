"""Averages over answers, of which there may be none, or one with an absurd number."""

import math
import statistics
import sys
from collections.abc import Sequence


def mean(values: Sequence[float]) -> float | None:
    """The mean, None of nothing; kept finite, for results are written as JSON."""
    return _finite(sum(values) / len(values)) if len(values) else None


def median(values: Sequence[float]) -> float | None:
    """The median, None of nothing; kept finite."""
    return _finite(statistics.median(values)) if len(values) else None


def root_mean_square(values: Sequence[float]) -> float | None:
    """The root of the mean of the squares, None of nothing; kept finite."""
    return _finite(math.hypot(*values) / math.sqrt(len(values))) if len(values) else None


def _finite(value: float) -> float:
    return min(value, sys.float_info.max)
