"""What else the first number of an answer could have been: a tree over its digits.

Level by level the likeliest prefixes are read by the model until each has two significant digits
and its magnitude is known, or the number has ended. Such a prefix stands for all numbers that begin
with it. Whatever is left out is counted.
"""

import math
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from vlm3_jax.decoding.branching import LEVELS

_BEGINNING = re.compile(r"\s*[-+]?(?:[0-9]+\.?[0-9]*|\.?[0-9]*)", re.ASCII)
_PART = re.compile(r"\s*[-+.0-9]+", re.ASCII)
# A number that goes on in a way that is not followed: an exponent, a decimal comma, a range, a
# fraction, half a character.
_UNCLEAR = re.compile(r"[eE,/^:\-\u2013\u2014\ufffd]|\d")
_LEAST_MASS = 1e-3  # Of a prefix that is worth reading.


@dataclass(frozen=True)
class ValueMass:
    """A value of a number, and how probable it is."""

    value: float
    probability: float


def first_number(answer: Sequence[int], text_of: Callable[[int], str]) -> int | None:
    """Where the first number of an answer begins: the place of its token; None without one."""
    begin = None
    for place, token in enumerate(answer):
        text = text_of(token)
        if not _PART.fullmatch(text):
            begin = None
            continue
        begin = place if begin is None or text[0].isspace() else begin
        if any(character.isdigit() for character in text):
            return begin
    return None


@dataclass(frozen=True)
class Prefix:
    """How a number could begin."""

    text: str
    probability: float
    """That the number, if all before it is as it was said, begins so."""
    token: int
    """The last one."""
    nodes: tuple[int, ...]
    """Places of its tokens in the tree, the root's first."""


class Tree:
    """What the first number of an answer could have been."""

    def __init__(self, start: int, root: int, branches: int, text_of: Callable[[int], str]):
        """Nothing of it is read yet.

        Args:
            start: the place of the number's first token in the answer.
            root: the token before that.
            branches: prefixes that are read at a level.
            text_of: what a token says.
        """
        self.start = start
        self.open = [Prefix("", 1.0, root, (0,))]
        """To be read next, at most `branches`."""
        self._level = 0
        self._branches, self._text_of = branches, text_of
        self._masses: dict[float, float] = defaultdict(float)
        self._unexplained = 0.0

    def grow(self, tokens: np.ndarray, log_probs: np.ndarray) -> None:
        """Takes in what follows the open prefixes, and opens those of the next level.

        Args:
            tokens: int [B, A], the likeliest after each.
            log_probs: [B, A], their natural logarithms of probability.
        """
        longer: list[Prefix] = []
        probabilities = np.exp(log_probs.astype(np.float64)).tolist()
        for prefix, likely, shares in zip(self.open, tokens.tolist(), probabilities, strict=False):
            for token, share in zip(likely, shares, strict=True):
                mass = prefix.probability * share
                said = _go_on(prefix.text, self._text_of(token))
                if isinstance(said, str):
                    longer.append(Prefix(said, mass, token, prefix.nodes))
                elif said is None:
                    self._unexplained += mass
                else:
                    self._masses[said] += mass
            self._unexplained += prefix.probability * max(1 - math.fsum(shares), 0.0)
        self._level += 1
        longer.sort(key=lambda prefix: -prefix.probability)
        kept = longer[: self._branches] if self._level < LEVELS else []
        kept = [prefix for prefix in kept if prefix.probability >= _LEAST_MASS]
        self._unexplained += math.fsum(prefix.probability for prefix in longer[len(kept) :])
        first = self._level * self._branches
        self.open = [
            Prefix(prefix.text, prefix.probability, prefix.token, (*prefix.nodes, first + i))
            for i, prefix in enumerate(kept)
        ]

    @property
    def values(self) -> tuple[ValueMass, ...]:
        """Values by size; of a prefix the middle of what it can still become."""
        masses = sorted(self._masses.items())
        return tuple(ValueMass(value, mass) for value, mass in masses if mass > 0)

    @property
    def unexplained(self) -> float:
        """Probability of all that `values` leaves out."""
        return self._unexplained + math.fsum(prefix.probability for prefix in self.open)


@lru_cache(maxsize=1 << 16)
def _go_on(prefix: str, added: str) -> float | str | None:
    """What a prefix becomes: a value, a longer prefix that has none yet, or no clear number."""
    text = prefix + added
    number = _BEGINNING.match(text)[0]
    rest = text[len(number) :]
    if added and not rest:
        value = _middle(text)
        return text if value is None else value
    is_clear = any(map(str.isdigit, number)) and not _UNCLEAR.match(rest)
    return float(number) if is_clear else None


def _middle(prefix: str) -> float | None:
    """The middle of the numbers that begin so; None where they are too different."""
    whole, point, decimals = prefix.strip().lstrip("+-").partition(".")
    if not point or len((whole + decimals).lstrip("0")) < 2:
        return None
    middle = float(f"{whole}.{decimals}5")
    return -middle if "-" in prefix else middle
