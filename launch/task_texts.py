"""The fixed texts of each task, which a small model's tokenizer knows as one token each."""

import re
from collections.abc import Iterable

from vlm3_jax.tasks import correspondence, depth, pose
from vlm3_jax.tasks.objects import boxes, format_direction, format_length, wordings


def _form(answer: str) -> str:
    """An answer with `{}` in the place of its numbers."""
    return re.sub(r"[-+]?[0-9]+(\.[0-9]+)?", "{}", answer)


_OBJECTS = (
    boxes.BOX,
    *wordings.PHRASES.values(),
    *wordings.COMPARATIVES.values(),
    *wordings.PREDICATE_QUESTIONS,
    wordings.YES,
    wordings.NO,
    *wordings.CHOICE_QUESTIONS,
    wordings.CHOICE_ANSWER,
    *(text for texts in wordings.LENGTH_QUESTIONS.values() for text in texts),
    *wordings.LENGTH_ANSWERS.values(),
    *wordings.DIRECTION_QUESTIONS,
    wordings.DIRECTION_ANSWER,
    *map(_form, (format_length(1.5), format_length(0.5), format_direction(12))),
)
TEXTS = {
    "depth": (depth.PROMPT, depth.ANSWER),
    "correspondence": (
        correspondence.PROMPT,
        correspondence.BACKWARD_PROMPT,
        correspondence.THINK_SUFFIX,
        correspondence.ANSWER,
        correspondence.THINK_ANSWER,
    ),
    "pose": (
        *(text for texts in pose.WORDINGS.values() for text in texts),
        _form(pose.format_angle(1.5)),
        _form(pose.format_yaw_pitch_roll(1.5, 2.5, 3.5)),
        re.sub("moves .*, unit", "moves {}, unit", _form(pose.format_direction((1, 0, 0)))),
        *("left", "right", "up", "down", "forward", "backward"),
        _form(pose.format_distance(1.5)),
    ),
    "objects": _OBJECTS,
}
"""By task; `{...}` stands for what changes."""


def phrases(texts: Iterable[str]) -> list[str]:
    """What is between the changing parts of texts, each once.

    Single characters are left out: bytes are tokens as they are, and as a phrase one such as the
    sign of degrees would be decoded as a byte.
    """
    parts = [part for text in texts for part in re.split(r"\{.*?\}", text) if len(part) > 1]
    return list(dict.fromkeys(parts))
