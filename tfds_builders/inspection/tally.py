"""Values counted as they come, in memory that does not grow with their number."""

from typing import Any

import numpy as np

PERCENTILES = {"p1": 1, "p5": 5, "median": 50, "p95": 95, "p99": 99}
_RATIO = 1.005
_STEPS = 1800


class Tally:
    """Counts values in fine bins.

    Least, largest and mean value and the number of zeros are exact; percentiles are exact to half
    a bin, which is a quarter of a percent of positive values of any magnitude, or 1/3600 of a range
    that was given.
    """

    def __init__(self, low: float = 1e-4, high: float = 1e6, log: bool = True, whole: bool = False):
        """Begins with nothing.

        Args:
            low: where bins begin.
            high: where they end; what lies beyond either is in the last bins.
            log: they widen with the values, which are not negative.
            whole: values are whole numbers, and so are percentiles.
        """
        self._log, self._whole = log, whole
        if log:
            bins = int(np.ceil(np.log(high / low) / np.log(_RATIO)))
            self._edges = low * _RATIO ** np.arange(bins + 1)
        else:
            self._edges = np.linspace(low, high, _STEPS + 1)
        self._counts = np.zeros(len(self._edges) - 1, np.int64)
        self.count = self.zeros = 0
        self._sum, self.least, self.largest = 0.0, np.inf, -np.inf

    def add(self, values: Any) -> None:
        """Counts finite values of any shape."""
        values = np.asarray(values, np.float64).ravel()
        if not values.size:
            return
        self.count += values.size
        self._sum += float(values.sum())
        self.least = min(self.least, float(values.min()))
        self.largest = max(self.largest, float(values.max()))
        if self._log:
            self.zeros += int(np.count_nonzero(values == 0))
            values = values[values > 0]
        bins = np.searchsorted(self._edges, values, side="right") - 1
        np.add.at(self._counts, np.clip(bins, 0, len(self._counts) - 1), 1)

    def percentile(self, percent: float) -> float:
        """The value below which so many percent of the values are."""
        rank = percent / 100 * self.count
        if rank <= self.zeros and self.zeros:
            return 0.0
        below = self.zeros + np.cumsum(self._counts)
        place = min(int(np.searchsorted(below, rank)), len(self._counts) - 1)
        low, high = self._edges[place : place + 2]
        value = (low * high) ** 0.5 if self._log else (low + high) / 2
        value = round(value) if self._whole else value
        return float(np.clip(value, self.least, self.largest))

    def densest(self) -> tuple[float, float]:
        """The middle of the fullest bin, and the share of the values that is in it."""
        place = int(np.argmax(self._counts))
        middle = float(self._edges[place : place + 2].mean())
        return middle, float(self._counts[place] / max(self.count, 1))

    def share_over(self, value: float) -> float:
        """Share of the values in bins that begin at a value or above it."""
        over = self._counts[self._edges[:-1] >= value].sum()
        return float(over / max(self.count, 1))

    def to_dict(self) -> dict[str, Any]:
        """Figures and a histogram for JSON; only the count where it is 0."""
        if not self.count:
            return {"count": 0}
        percentiles = {name: self.percentile(at) for name, at in PERCENTILES.items()}
        return {
            "count": self.count,
            "zeros": self.zeros,
            "min": self.least,
            **percentiles,
            "max": self.largest,
            "mean": self._sum / self.count,
            "histogram": self._histogram(int(np.clip(2 * self.count**0.5, 10, 40))),
        }

    def _histogram(self, bins: int) -> dict[str, Any]:
        """At most so many bins, made of the fine ones from the least to the largest value."""
        filled = np.flatnonzero(self._counts)
        start, stop = (filled[0], filled[-1] + 1) if filled.size else (0, 1)
        spaced = np.geomspace if self._log else np.linspace
        ends = spaced(self._edges[start], self._edges[stop], bins + 1)[1:-1]
        if self._whole:  # Between whole numbers, or some bins would hold none.
            ends = np.unique(np.floor(ends)) + 0.5
        places = np.searchsorted(self._edges, ends)
        places = np.unique(np.r_[start, places[(places > start) & (places < stop)], stop])
        return {
            "edges": self._edges[places].tolist(),
            "counts": np.diff(np.r_[0, np.cumsum(self._counts)][places]).tolist(),
            "log": self._log,
        }
