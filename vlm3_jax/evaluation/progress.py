"""How far a run is: a bar on a terminal, else a line in the log now and then."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from absl import logging

_LOG_SECONDS = 10
_BAR_SECONDS = 0.2
_BAR_CELLS = 30
_Item = TypeVar("_Item")


class Progress:
    """Tells how far a run is, how fast, and how long it will still take."""

    def __init__(self, total: int, unit: str, counted: str | None = None):
        """Args: how many units there are, their name, and the name of what the rate counts.

        The units themselves are counted where `counted` is None.
        """
        self._total, self._unit, self._counted = total, unit, counted
        self._bar = sys.stderr.isatty()
        self._start = self._last = time.monotonic()

    def report(self, done: int, count: int | None = None) -> None:
        """Shows how far it is if that was not just done: `count` things are in `done` units."""
        now = time.monotonic()
        if done == 0 or now - self._last < (_BAR_SECONDS if self._bar else _LOG_SECONDS):
            return
        self._last = now
        line = self._line(done, done if count is None else count, now - self._start)
        if self._bar:
            filled = "#" * (_BAR_CELLS * done // self._total)
            # Back to the line's start, and whatever is left of a longer line is wiped.
            print(f"\r[{filled:<{_BAR_CELLS}}] {line}\x1b[K", end="", file=sys.stderr, flush=True)
        else:
            logging.info(line)

    def close(self) -> None:
        """Wipes the bar; what is printed next begins on its line."""
        if self._bar:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def _line(self, done: int, count: int, seconds: float) -> str:
        parts = [f"{done} of {self._total} {self._unit}"]
        if self._counted is not None:
            parts.append(f"{count} {self._counted}")
        parts.append(f"{count / seconds:.1f} {self._counted or self._unit}/s")
        parts.append(f"{seconds / done * (self._total - done):.0f} s left")
        return ", ".join(parts)


def with_progress(items: Iterable[_Item], total: int, unit: str) -> Iterator[_Item]:
    """Hands on `total` items, called `unit`, and tells how far it is and how long it took."""
    progress, start = Progress(total, unit), time.monotonic()
    for done, item in enumerate(items, start=1):
        progress.report(done)
        if done == total:
            progress.close()
            seconds = time.monotonic() - start
            logging.info("%d %s in %.1f s, %.1f/s", total, unit, seconds, total / seconds)
        yield item
