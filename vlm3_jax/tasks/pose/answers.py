"""Answers about a pair of views, as text and back."""

import math
import re
from collections.abc import Sequence

import numpy as np

from vlm3_jax.tasks.pose.wordings import ANGLE, DIRECTION, DISTANCE, YAW_PITCH_ROLL
from vlm3_jax.tasks.reading import SIGNED, agreed, length_m, plain, quantity, tuples

# How large a part of the unit vector must be to be named: here a movement that leaves the plane
# of the other two axes by 14.5 degrees or more. VLM3's threshold is not published.
WORD_THRESHOLD = 0.25
# Above it a movement along the diagonal would have no word.
_LARGEST_THRESHOLD = 1 / math.sqrt(3)
_WORDS = (("right", "left"), ("down", "up"), ("forward", "backward"))

_DEGREES = r"°|deg(?:ree)?s?"
_ANGLE = quantity(_DEGREES)
# The question asks for degrees, so that a number alone has its unit; nothing may follow it.
_BARE_ANGLE = re.compile(rf"^[^\d]*?(?<![\w.+\-])({SIGNED})\.?$")
# The end of an angle: no decimals in another notation, no word such as 'left' that turns its sign.
_ANGLE_END = r"(?= ?(?:[.,](?!\d)|[;|)]|$|(?:[-•] )?(?:and|yaw|pitch|roll)\b))"
_NAMED_ANGLES = [
    re.compile(
        rf"\b{name}(?: angle)? ?(?:[=:]|is|of)? ?(?:about |approximately |[~≈] ?)?"
        rf"({SIGNED})(?: ?(?:{_DEGREES}))?{_ANGLE_END}",
        re.IGNORECASE,
    )
    for name in ("yaw", "pitch", "roll")
]
_AXIS_NAME = re.compile(r"\b[xyz] ?[=:] ?(?=[+-]?[.0-9])", re.IGNORECASE)
_BRACKETS = str.maketrans("[]", "()")


def format_angle(degrees: float) -> str:
    """The answer that states the total rotation angle to a tenth of a degree."""
    return f"Rotation angle: {degrees:.1f} degrees"


def format_yaw_pitch_roll(yaw: float, pitch: float, roll: float) -> str:
    """The answer that states the three angles to a tenth of a degree."""
    yaw, pitch, roll = (_rounded(angle, 1) for angle in (yaw, pitch, roll))
    return f"Yaw={yaw:+.1f}°, Pitch={pitch:+.1f}°, Roll={roll:+.1f}°"


def format_direction(
    direction: np.ndarray | Sequence[float], threshold: float = WORD_THRESHOLD
) -> str:
    """The answer that states a unit vector to two decimals, and in words the axes that matter.

    Args:
        direction: unit vector in the first camera's frame: x right, y down, z forward.
        threshold: least size of a component that is named, at most 0.577.

    Raises:
        ValueError: the threshold would leave some directions without a word.
    """
    if not 0 < threshold <= _LARGEST_THRESHOLD:
        raise ValueError(f"the threshold of words is {threshold}, not in 0 to 0.577")
    x, y, z = (float(part) for part in direction)
    words = [
        names[part < 0]
        for part, names in zip((x, y, z), _WORDS, strict=True)
        # The margin keeps rounding from leaving the diagonal without a word.
        if abs(part) >= threshold - 1e-9
    ]
    vector = ", ".join(f"{_rounded(part, 2):+.2f}" for part in (x, y, z))
    return f"The camera moves {', '.join(words)}, unit vector ({vector})."


def format_distance(metres: float) -> str:
    """The answer that states a distance to a centimetre."""
    return f"Translation distance: {metres:.2f} meters"


def parse_angle(text: str) -> float | None:
    """Reads the one angle in degrees that a text states; None unless it is in 0 to 360.

    A number without a unit counts where it is the only one and ends the text.
    """
    text = plain(text)
    values = [float(match["number"]) for match in _ANGLE.finditer(text)]
    if not values:
        values = [float(match[1]) for match in _BARE_ANGLE.finditer(text)]
    value = agreed(values)
    return value if value is not None and 0 <= value <= 360 else None


def parse_yaw_pitch_roll(text: str) -> tuple[float, float, float] | None:
    """Reads degrees that are named yaw, pitch and roll, in any order.

    None unless each has one value, of at most 360 degrees.
    """
    text = plain(text)
    found = [{float(number) for number in name.findall(text)} for name in _NAMED_ANGLES]
    if any(len(values) != 1 for values in found):
        return None
    yaw, pitch, roll = (values.pop() for values in found)
    return (yaw, pitch, roll) if max(abs(yaw), abs(pitch), abs(roll)) <= 360 else None


def parse_direction(text: str) -> tuple[float, float, float] | None:
    """Reads the one vector `(x, y, z)` of a text; None without one, or of several.

    It need not have length 1; the words are not read.
    """
    found = set(tuples(_AXIS_NAME.sub("", plain(text)).translate(_BRACKETS), 3))
    if len(found) != 1:
        return None
    (vector,) = found
    return vector if all(map(math.isfinite, vector)) else None


def parse_distance(text: str) -> float | None:
    """Reads the one length of a text, in metres; see `reading.length_m`."""
    return length_m(text)


_PARSERS = {
    ANGLE: parse_angle,
    YAW_PITCH_ROLL: parse_yaw_pitch_roll,
    DIRECTION: parse_direction,
    DISTANCE: parse_distance,
}


def parse_answer(kind: str, text: str) -> float | tuple[float, float, float] | None:
    """Reads the answer to a question of a kind; None where it cannot be read."""
    return _PARSERS[kind](text)


def _rounded(value: float, decimals: int) -> float:
    # Adding zero turns a negative zero into a positive one.
    return round(value, decimals) + 0.0
