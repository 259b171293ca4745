"""Averages over answers, of which there may be none, or one with an absurd number."""

import math
import statistics
import sys
from collections.abc import Sequence

import numpy as np


def mean(values: Sequence[float]) -> float | None:
    """The mean, None of nothing; kept finite, for results are written as JSON."""
    return _finite(sum(values) / len(values)) if len(values) else None


def median(values: Sequence[float]) -> float | None:
    """The median, None of nothing; kept finite."""
    return _finite(statistics.median(values)) if len(values) else None


def root_mean_square(values: Sequence[float]) -> float | None:
    """The root of the mean of the squares, None of nothing; kept finite."""
    return _finite(math.hypot(*values) / math.sqrt(len(values))) if len(values) else None


def weighted_median(
    values: Sequence[float] | np.ndarray, weights: Sequence[float] | np.ndarray
) -> float | None:
    """The value with the least weighted sum of distances to all, None of nothing."""
    if not len(values):
        return None
    order = np.argsort(values, kind="stable")
    sums = np.cumsum(np.asarray(weights, np.float64)[order])
    return float(np.asarray(values)[order][np.searchsorted(sums, sums[-1] / 2)])


def _finite(value: float) -> float:
    return min(value, sys.float_info.max)
