"""Conversations about images, before they are tokens."""

from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Turn:
    """What the user says, and what the model answers; None where it still has to."""

    prompt: str
    answer: str | None = None


@dataclass(frozen=True)
class Sample:
    """A conversation; its images stand before the text of the first prompt."""

    images: tuple[np.ndarray, ...]
    """uint8 [H, W, 3] each, at the size at which the model shall see them."""
    turns: tuple[Turn, ...]
    key: str
    """Names the sample in errors and reports."""
    system: str | None = None

    def alone(self, turn: int) -> "Sample":
        """The sample with only one of its turns."""
        return replace(self, turns=(self.turns[turn],))

    def messages(self, num_turns: int, last_answer: bool) -> list[dict]:
        """The first turns as a chat template takes them, with or without the answer of the last."""
        messages = []
        if self.system is not None:
            messages.append(_message("system", _text(self.system)))
        images = [{"type": "image"}] * len(self.images)
        for turn in self.turns[:num_turns]:
            messages.append(_message("user", *images, _text(turn.prompt)))
            messages.append(_message("assistant", _text(turn.answer)))
            images = []
        return messages if last_answer else messages[:-1]


def _message(role: str, *parts: dict) -> dict:
    return {"role": role, "content": list(parts)}


def _text(text: str | None) -> dict:
    return {"type": "text", "text": text}
