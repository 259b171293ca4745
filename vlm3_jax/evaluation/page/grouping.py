"""Answers as the report handles them: lines of `predictions.jsonl`, by image and by bin."""

import bisect
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

Line = dict[str, Any]
"""One question with its answer."""


def by_image(lines: Iterable[Line], *fields: str) -> list[list[Line]]:
    """Lines about the same image or pair together, in the order of the first of each.

    Args:
        lines: the answers.
        fields: what else must be the same.
    """
    groups: dict[tuple, list[Line]] = {}
    for line in lines:
        groups.setdefault(tuple(line[field] for field in ("image", *fields)), []).append(line)
    return list(groups.values())


def ranked(groups: Sequence[list[Line]], badness: Callable[[list[Line]], Any]) -> list[list[Line]]:
    """Groups from the best to the worst; equal ones keep their order."""
    return sorted(groups, key=badness)


def binned(
    values: Sequence[float], edges: Sequence[float], unit: str
) -> list[tuple[str, np.ndarray]]:
    """Which values lie between round edges: the name of each bin that has any, and their places."""
    places: dict[int, list[int]] = {}
    for place, value in enumerate(values):
        places.setdefault(bisect.bisect_right(edges, value), []).append(place)
    names = [f"under {edges[0]:g}{unit}"]
    names += [f"{low:g} to {high:g}{unit}" for low, high in pairwise(edges)]
    names.append(f"{edges[-1]:g}{unit} and more")
    return [(names[index], np.array(places[index])) for index in sorted(places)]
