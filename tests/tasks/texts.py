"""Texts to break parsers with, and a reader of numbers that shares nothing with them."""

import math

from hypothesis import strategies as st

# Pieces that meet in answers, cut and glued as no model should.
_PIECES = (
    *"0123456789.,-+eE()[]°:=/ \n",
    "\u2212",
    "٣",
    "\uff15",
    "1e400",
    "nan",
    "inf",
    "<think>",
    "</think>",
    "<answer>",
    "</answer>",
    "<thi",
    " meters",
    " m",
    " cm",
    " ft",
    " in",
    " degrees",
    "^\\circ",
    " o'clock",
    "Yaw=",
    "Pitch=",
    "Roll=",
    "Yes",
    "No",
    "not",
    "left",
    "right",
    "and",
    "to",
    "**",
    "Region [0]",
    "bounding box region (1, 2, 3, 4)",
)
nonsense = st.one_of(
    st.text(max_size=40), st.lists(st.sampled_from(_PIECES), max_size=14).map("".join)
)

# Each holds no answer to any question, though it holds numbers.
UNREADABLE = (
    "",
    "I cannot tell.",
    "٣ meters, ٣° (٣, ٣)",
    "1e400 meters, 1e400° (1e400, 1e400, 1e400)",
    "nan meters, inf degrees (nan, inf, nan)",
    "<think> 3 m, 3°, (3, 3), (3, 3, 3), 3 o'clock, yes",
    "<think> <think> 3 m </think> 3°, (3, 3), 3 o'clock, yes",
    "<think> 3 m, 3°, (3, 3), 3 o'clock, <answer> 3 </answer> yes </think>",
    "3 m, 3°, (3, 3), 3 o'clock, yes </think>",
    "-3 m, -3°, -3 o'clock",
    "3 m or 5 m, 3° or 5°, 3 o'clock or 5 o'clock",
    "3-5 m, 3-5°, 3-5 o'clock",
    "3 to 5 m, 3 to 5°, 3 to 5 o'clock",
    "1,250.5 m, 1,250.5°, (3",
    "1 250.5 m, 1 250.5°, 3)",
    "minus 3 m, minus 3°",
)


def states(text: str, value: float) -> bool:
    """Whether a text holds the number, up to its sign, as a whole: no digit or dot stands by it."""
    text = text.replace("\u2212", "-")
    for start in range(len(text)):
        before = text[start - 1] if start else " "
        if text[start] not in "0123456789." or before.isdigit() or before == ".":
            continue
        for end in range(start + 1, len(text) + 1):
            if not text[start:end].isascii() or text[end : end + 1].isdigit():
                continue
            try:
                number = float(text[start:end])
            except ValueError:
                continue
            if math.isclose(number, abs(value), rel_tol=1e-12):
                return True
    return False
