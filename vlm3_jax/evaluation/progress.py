"""A progress line in the log, now and then."""

import time

from absl import logging

_SECONDS = 10


class Progress:
    """Logs how far a run is, how fast, and how long it will still take."""

    def __init__(self, total: int, unit: str, counted: str):
        """Args: how many units there are, their name, and the name of what the rate counts."""
        self._total, self._unit, self._counted = total, unit, counted
        self._start = self._last = time.monotonic()

    def report(self, done: int, count: int) -> None:
        """Logs a line if the last one is ten seconds old: `count` things are in `done` units."""
        now = time.monotonic()
        if done == 0 or now - self._last < _SECONDS:
            return
        self._last = now
        seconds = now - self._start
        logging.info(
            "%d of %d %s, %d %s, %.1f %s/s, %.0f s left",
            done,
            self._total,
            self._unit,
            count,
            self._counted,
            count / seconds,
            self._counted,
            seconds / done * (self._total - done),
        )
