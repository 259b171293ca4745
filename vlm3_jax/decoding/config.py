"""The configuration of decoding."""

from dataclasses import dataclass

from vlm3_jax.errors import BadInput


@dataclass(frozen=True)
class DecodingConfig:
    """How many answers are written at a time, and how long they may get."""

    images: int = 4
    """Prompts' images, encoded once each, in flight on every data-parallel group of devices."""
    questions: int = 10
    """Questions in flight an image."""
    max_new_tokens: int = 128
    """Longest answer; a longer one is cut and counted as unfinished."""

    def __post_init__(self):
        for name in ("images", "questions", "max_new_tokens"):
            if getattr(self, name) < 1:
                raise BadInput(f"{name} is {getattr(self, name)}, but must be at least 1.")
