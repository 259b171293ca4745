"""What the work of a builder consists of, and what of it went wrong."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from vlm3_jax.errors import BadInput


@dataclass(frozen=True)
class Item:
    """A unit of work: what one call of `Builder.examples` turns into records."""

    key: str
    """Names it within the dataset; the order of the records follows from the keys."""
    data: Any = None
    """What `Builder.examples` needs to find it; picklable, and best small."""
    records: int = 1
    """How many records it is expected to give, at least 1."""


@dataclass(frozen=True)
class Bad:
    """What could not be used."""

    key: str
    """Of the item, or of one of its records."""
    reason: str
    """One sentence that names the thing and the remedy."""
    records: int = 1
    """How many records are lost."""


def attempt(key: str, make: Callable[..., dict], *args: Any) -> dict[str, Any] | Bad:
    """Calls `make`; where it meets bad data, returns them as `Bad` instead.

    For builders whose items give several records: a bad one costs none of the others.
    """
    try:
        return make(*args)
    except (BadInput, OSError) as error:
        return Bad(key, reason(error))


def attempt_all(
    item: Item, make: Callable[[Item], Iterator[dict | Bad]]
) -> Iterator[dict[str, Any] | Bad]:
    """Yields what `make` gives; bad data that it meets outside of a record end the item."""
    given = 0
    try:
        for outcome in make(item):
            given += outcome.records if isinstance(outcome, Bad) else 1
            yield outcome
    except (BadInput, OSError) as error:
        yield Bad(item.key, reason(error), max(1, item.records - given))
    except Exception as error:
        error.add_note(f"The item was {item.key!r}.")
        raise


def reason(error: BadInput | OSError) -> str:
    """One line that tells what was wrong."""
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename} cannot be read ({error.strerror}); fetch it anew."
    return " ".join(str(error).split())


@dataclass(frozen=True)
class MaxBad:
    """How many records of a dataset may be bad: a share of those expected, or a number."""

    share: float | None = None
    number: int = 0

    @classmethod
    def parse(cls, text: str) -> "MaxBad":
        """Reads `0.1%` or `20`.

        Raises:
            BadInput: it is neither.
        """
        if re.fullmatch(r"\d+", text):
            return cls(number=int(text))
        if re.fullmatch(r"\d+(\.\d+)?%", text) and float(text[:-1]) <= 100:
            return cls(share=float(text[:-1]) / 100)
        raise BadInput(f"--max_bad={text} is no limit; give a share as 0.1% or a number as 20.")

    def of(self, expected: int) -> int:
        """The most bad records that a dataset of `expected` records may have."""
        return self.number if self.share is None else int(self.share * expected)
