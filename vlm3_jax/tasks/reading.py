"""Reads numbers where a model's text states them, and nowhere else.

Only finite numbers in ASCII digits count. A text that can be read in two ways is not read at all:
ranges, decimal commas, two values that disagree.
"""

import re
from collections.abc import Sequence

NUMBER = r"(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
SIGNED = rf"[+-]?{NUMBER}"

# What may not stand before a quantity, or it is the rest of something longer: a word, a decimal
# comma, a range, a sign that is written out.
_ALONE = r"(?<![\w.+\-\u2013\u2014/^])(?<!\d[^(\[<>=])(?<![+\-\u2013\u2014] )" + "".join(
    rf"(?<!{words} )" for words in (r"\d to", r"\d or", r"\d and", "minus", "negative", "not")
)
_ENDED = r"(?![\w^/])(?! ?[-\u2013\u2014~] ?[0-9])"

# 'in' is a unit only where a phrase ends, and 'M' never is one.
_LENGTH_UNITS = (
    r"(?-i:m)|met(?:er|re)s?|cm|centimet(?:er|re)s?|mm|millimet(?:er|re)s?"
    r"|ft|foot|feet|inch(?:es)?|in(?= ?(?:[.,;:)<]|$))"
)
_FOOT, _INCH = 0.3048, 0.0254
# By the first letters of a unit; the first that fits counts.
_METRES = {"mm": 0.001, "mil": 0.001, "m": 1.0, "c": 0.01, "f": _FOOT, "i": _INCH}

_THINK_TAG = re.compile(r"<(/?)think>", re.IGNORECASE)
_ANSWER_TAG = re.compile(r"<answer>", re.IGNORECASE)
_DEGREE_SIGN = re.compile(r"[º˚]|\^?\{?\\circ\b\}?")
_MARKUP = re.compile(r"\*\*|[`$]|</?answer>", re.IGNORECASE)
_AGREEMENT = 0.01


def quantity(units: str) -> re.Pattern[str]:
    """A pattern of a number with one of `units` after it, for the text that `plain` returns.

    Args:
        units: alternatives of a regular expression.

    Returns:
        The pattern; group `number` is the signed number, group `unit` the unit.
    """
    return re.compile(rf"{_ALONE}(?P<number>{SIGNED}) ?(?P<unit>{units}){_ENDED}", re.IGNORECASE)


_LENGTH = quantity(_LENGTH_UNITS)


def without_thoughts(text: str) -> str:
    """Leaves out what stands in think tags, nested or not.

    A thought that is cut off ends at an answer tag or with the text; one whose opening tag is
    missing began with the text.
    """
    kept: list[str] = []
    depth = start = 0
    for tag in _THINK_TAG.finditer(text):
        if not tag[1]:
            if depth == 0:
                kept.append(text[start : tag.start()])
            depth += 1
        elif depth == 0:
            kept.clear()
        else:
            depth -= 1
        start = tag.end()
    answer = _ANSWER_TAG.search(text, start) if depth else None
    if depth == 0 or answer:
        kept.append(text[answer.start() if answer else start :])
    return "\n".join(kept)


def plain(text: str) -> str:
    """The text without thoughts, its minus and degree signs, markup and blanks made uniform."""
    text = without_thoughts(text).replace("\N{MINUS SIGN}", "-")
    text = _MARKUP.sub(" ", _DEGREE_SIGN.sub("°", text))
    return re.sub(r"\s+", " ", text).strip()


def tuples(text: str, length: int) -> list[tuple[float, ...]]:
    """All `(a, b, ...)` of so many numbers in a text, in order; a number may be infinite."""
    pattern = r"\(\s*" + r"\s*,\s*".join([f"({SIGNED})"] * length) + r"\s*\)"
    return [tuple(map(float, match.groups())) for match in re.finditer(pattern, text)]


def agreed(values: Sequence[float]) -> float | None:
    """The first of the values if all are finite and within 1% of it, else None."""
    if not values:
        return None
    first = values[0]
    # An infinite value agrees with none, not even with itself.
    same = all(abs(value - first) <= _AGREEMENT * abs(first) for value in values)
    return first if same else None


def length_m(text: str) -> float | None:
    """Reads the one length that a text states, in metres.

    A number without a unit, a negative one, and several lengths that disagree give None; feet
    followed by inches are one length.
    """
    text = plain(text)
    values: list[float] = []
    foot_end = None
    for match in _LENGTH.finditer(text):
        unit = match["unit"].lower()
        metres = next(value for start, value in _METRES.items() if unit.startswith(start))
        value = float(match["number"]) * metres
        between = None if foot_end is None else text[foot_end : match.start()].strip()
        if metres == _INCH and between in ("", "and"):
            values[-1] += value
        else:
            values.append(value)
        foot_end = match.end() if metres == _FOOT else None
    value = agreed(values)
    return value if value is not None and value >= 0 else None
