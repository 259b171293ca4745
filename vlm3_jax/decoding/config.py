"""The configuration of decoding."""

from dataclasses import dataclass
from typing import Literal

from vlm3_jax.errors import BadInput


@dataclass(frozen=True)
class DecodingConfig:
    """How answers are written; but for rounding, none of it changes a token."""

    images: int = 4
    """Prompts' images, encoded once each, in flight on every data-parallel group of devices."""
    questions: int = 10
    """Questions in flight an image."""
    max_new_tokens: int = 128
    """Longest answer; a longer one is cut and counted as unfinished."""
    share_prefix: bool = True
    """Whether what the prompts about an image have in common is read and kept once."""
    refill: bool = True
    """Whether a row whose answer has ended takes the next question while others go on."""
    draft_tokens: int = 8
    """Tokens of an answer guessed ahead from the form of earlier ones, and checked in one step
    where that pays; 0: none."""
    cache_dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Type of the kept keys and values; auto is that of the computation."""
    memory_bytes: int | None = None
    """That keys, values and work may take of a device, beside the parameters; None: what is free.
    Where it is too little, fewer questions are in flight."""
    branches: int = 0
    """Digit prefixes of the answer's first number that are expanded at a time, the likeliest, to
    see what else it could have been; 0: none. About 8 find nearly all of its probability."""

    def __post_init__(self):
        for name in ("images", "questions", "max_new_tokens"):
            if getattr(self, name) < 1:
                raise BadInput(f"{name} is {getattr(self, name)}, but must be at least 1.")
        for name in ("draft_tokens", "branches"):
            if getattr(self, name) < 0:
                raise BadInput(f"{name} is {getattr(self, name)}, but must be 0 or more.")
