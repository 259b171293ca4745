"""Whether all sides said the same."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean
from typing import NamedTuple

from launch.bench.decoding.plan import SIDES, Outcome


class Difference(NamedTuple):
    """Where an answer parts from another to the same question; all numbers from 0."""

    image: int
    question: int
    token: int
    other: str
    """The side that said otherwise."""


@dataclass(frozen=True)
class Agreement:
    """A side's answers beside those that a side before it, or itself, had given already."""

    compared: int
    identical: int
    agreeing_tokens: float
    """Mean length of the beginning that is the same; of identical answers, their length."""
    first_difference: Difference | None


def agreements(rounds: dict[str, list[Outcome]]) -> dict[str, Agreement]:
    """Compares every answer with the first to its question; transformers' come first.

    Returns:
        By side; those without an answer to compare are left out.
    """
    first: dict[tuple[int, int], tuple[str, tuple[int, ...]]] = {}
    found: dict[str, list[tuple[int, Difference | None]]] = {}
    for name in sorted(rounds, key=list(SIDES).index):
        passes = [one for outcome in rounds[name] for one in outcome.passes]
        for key, tokens in (item for one in passes for item in one.answers.items()):
            if key not in first:
                first[key] = name, tokens
                continue
            other, reference = first[key]
            same = _common_length(tokens, reference)
            differs = tokens != reference
            found.setdefault(name, []).append(
                (same, Difference(*key, same, other) if differs else None)
            )
    return {name: _sum_up(comparisons) for name, comparisons in found.items()}


def _common_length(one: Sequence[int], other: Sequence[int]) -> int:
    shorter = min(len(one), len(other))
    return next((i for i in range(shorter) if one[i] != other[i]), shorter)


def _sum_up(comparisons: list[tuple[int, Difference | None]]) -> Agreement:
    differences = [difference for _, difference in comparisons if difference is not None]
    return Agreement(
        compared=len(comparisons),
        identical=len(comparisons) - len(differences),
        agreeing_tokens=mean(same for same, _ in comparisons),
        first_difference=min(differences, default=None),
    )
