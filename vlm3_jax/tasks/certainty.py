"""What a distribution over the values of an answer says: the safest value, and a range."""

from dataclasses import dataclass

import numpy as np

_RANGE_SHARE = 0.8


@dataclass(frozen=True)
class Certainty:
    """How certain a positive number is."""

    likely: float | None
    """The number with the most probability within a factor of it; None: no value is positive."""
    confidence: float
    """That probability."""
    low: float | None
    """The shortest range of values that holds 80% of the probability begins here; None where all
    known values together hold less."""
    high: float | None
    """The range ends here."""
    unexplained: float
    """Probability of what no value is known of; it counts for none."""


def read_certainty(values: np.ndarray, probabilities: np.ndarray, factor: float) -> Certainty:
    """Reads a distribution, of which some probability may be missing.

    Args:
        values: [N].
        probabilities: of each, [N]; their sum is at most 1.
        factor: two values are alike if one is less than so many times the other.
    """
    values, probabilities = np.asarray(values, np.float64), np.asarray(probabilities, np.float64)
    likely, confidence = most_within(values, probabilities, factor)
    low, high = shortest_range(values, probabilities, _RANGE_SHARE)
    unexplained = max(1 - float(np.sum(probabilities)), 0.0)
    return Certainty(likely, confidence, low, high, unexplained)


def most_within(
    values: np.ndarray, probabilities: np.ndarray, factor: float
) -> tuple[float | None, float]:
    """The number with the most probability less than a factor away, and that probability.

    Where many numbers have it, the one nearest to the middle of that probability is taken.

    Args:
        values: [N]; zeros and negative ones are like no other.
        probabilities: of each, [N].
        factor: above 1.
    """
    there = (values > 0) & (probabilities > 0)
    if not there.any():
        return None, 0.0
    order = np.argsort(values[there], kind="stable")
    values, probabilities = values[there][order], probabilities[there][order]
    # Values are alike to a number between them if the last is less than factor squared times the
    # first; the margin keeps exactly that out where rounding would let it in.
    ends = np.searchsorted(values, values * (factor**2 * (1 - 1e-9)), side="left")
    sums = np.concatenate([[0.0], np.cumsum(probabilities)])
    masses = sums[ends] - sums[:-1]
    first = int(np.argmax(masses))
    middle = values[np.searchsorted(sums[1:], sums[first] + masses[first] / 2)]
    low, high = values[ends[first] - 1] / factor, values[first] * factor
    likely = np.clip(middle, low * (1 + 1e-10), high * (1 - 1e-10))
    return float(likely), min(float(masses[first]), 1.0)


def shortest_range(
    values: np.ndarray, probabilities: np.ndarray, share: float
) -> tuple[float | None, float | None]:
    """The shortest range, both ends of it values, that holds a share of the probability.

    Args:
        values: [N].
        probabilities: of each, [N]; what is missing to 1 is in no range.
        share: at most 1.

    Returns:
        Its ends, the lowest of several; None where all values together hold less.
    """
    order = np.argsort(values, kind="stable")
    values, probabilities = values[order], probabilities[order]
    sums = np.concatenate([[0.0], np.cumsum(probabilities)])
    # The margin lets a share in that rounding would keep out.
    ends = np.searchsorted(sums, sums[:-1] + (share - 1e-12), side="left")
    possible = np.flatnonzero(ends < len(sums))
    if len(possible) == 0:
        return None, None
    lows, highs = values[possible], values[ends[possible] - 1]
    best = int(np.argmin(highs - lows))
    return float(lows[best]), float(highs[best])
