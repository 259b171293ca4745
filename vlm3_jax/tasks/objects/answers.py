"""Answers about objects, as text and back by rules."""

import re
from collections.abc import Sequence

from vlm3_jax.tasks.reading import agreed, length_m, plain, quantity

_PLACE = "([0-9]{1,6})"
_MENTION = re.compile(
    r"(?:\b(?:bounding box )?region )?"
    rf"\( ?{_PLACE} ?, ?{_PLACE} ?, ?{_PLACE} ?, ?{_PLACE} ?\)|\bregion \[?{_PLACE}\]?",
    re.IGNORECASE,
)
_HOUR = quantity(r"o['\u2019]? ?clock")

# SpatialRGPT's own answers begin with some of these; the earliest word decides. 'Right' affirms
# only as a word of its own at the start, for it is a direction too.
_POLARITY = re.compile(
    r"(?P<yes>\b(?:yes|correct|affirmative|true|indeed)\b|^right(?= ?[,.!]|$))"
    r"|\b(?:no|incorrect|wrong|false)\b|(?P<negated>\bnot\b|n['\u2019]t\b)",
    re.IGNORECASE,
)
_UNDECIDED = re.compile(
    r"\b(?:not (?:sure|certain|clear|possible|know|able|enough)|unclear|unsure|unable|uncertain"
    r"|cannot|can['\u2019]t|don['\u2019]t know)\b",
    re.IGNORECASE,
)
_WORDS = {
    "left": r"left",
    "right": r"right",
    "above": r"above|over|higher",
    "below": r"below|under|beneath|lower",
    "behind": r"behind|further|farther",
    "front": r"front|closer|nearer",
    "big": r"bigger|larger",
    "small": r"smaller",
    "tall": r"taller",
    "short": r"shorter",
    "wide": r"wider",
    "thin": r"thinner|narrower",
}
_OPPOSITES = (
    ("left", "right"),
    ("above", "below"),
    ("behind", "front"),
    ("big", "small"),
    ("tall", "short"),
    ("wide", "thin"),
)
_OPPOSITE = {a: b for pair in _OPPOSITES for a, b in (pair, pair[::-1])}


def format_length(metres: float) -> str:
    """States a length: to a centimetre from one metre on, to a millimetre below."""
    return f"{metres:.2f} meters" if metres >= 1 else f"{100 * metres:.1f} centimeters"


def format_direction(hour: int) -> str:
    """States a direction as an hour of a clock."""
    return f"{hour} o'clock"


def parse_answer(
    category: str, text: str, regions: Sequence[str] = ()
) -> bool | int | float | None:
    """Reads an answer by rules; None where they cannot.

    Args:
        category: see `questions.CATEGORIES`.
        text: what was answered.
        regions: names of the boxes in the question, in its order.

    Returns:
        Whether a predicate holds, the place in `regions` of a choice, metres, or a clock hour.
    """
    text = plain(text)
    relation, _, kind = category.rpartition("_")
    if kind == "predicate":
        return _predicate(relation, text, regions)
    if kind == "choice":
        mentioned = set(_mentions(text, regions))
        return mentioned.pop() if len(mentioned) == 1 else None
    # The numbers of boxes are no lengths and no hours.
    text = _MENTION.sub("region", text)
    return _clock_hour(text) if category == "direction" else length_m(text)


def _predicate(relation: str, text: str, regions: Sequence[str]) -> bool | None:
    if _UNDECIDED.search(text):
        return None
    said, opposite = (
        bool(re.search(rf"\b(?:{_WORDS[name]})\b", text, re.IGNORECASE))
        for name in (relation, _OPPOSITE[relation])
    )
    polarity = _POLARITY.search(text)
    if polarity:
        # What is not to the right need not be to the left.
        negates_opposite = polarity["negated"] is not None and opposite and not said
        return None if negates_opposite else polarity["yes"] is not None
    # 'In fact, A is below B': which of the two words is there, and which object is its subject.
    mentioned = _mentions(text, regions)
    if said == opposite or None in mentioned:
        return None
    return said == (not mentioned or mentioned[0] == 0)


def _mentions(text: str, regions: Sequence[str]) -> list[int | None]:
    """Places in `regions` of the boxes that a text names, in its order; None for an unknown one."""
    known: dict[tuple[str, ...], int] = {}
    for index, name in enumerate(regions):
        known.setdefault(tuple(re.findall("[0-9]+", name)), index)
    places: list[int | None] = []
    for match in _MENTION.finditer(text):
        if match[5] is None:
            numbers = tuple(str(int(number)) for number in match.groups()[:4])
            places.append(known.get(numbers))
        else:
            places.append(int(match[5]) if int(match[5]) < len(regions) else None)
    return places


def _clock_hour(text: str) -> int | None:
    hour = agreed([float(match["number"]) for match in _HOUR.finditer(text)])
    return int(hour) if hour in range(1, 13) else None
