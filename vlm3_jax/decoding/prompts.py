"""Prompts about the same images, split into what they have in common and what each adds."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vlm3_jax.data.encoder import Encoded
from vlm3_jax.models.inputs import ImageInputs, TextInputs


@dataclass(frozen=True)
class Prompts:
    """A prefix, and the questions that go on from it."""

    images: ImageInputs
    """All patches of the images, [P, ...]; P is 0 where there is none."""
    prefix: TextInputs
    """Its tokens, [L, ...], every image token among them."""
    questions: tuple[TextInputs, ...]
    """At least one token each, all of them text."""


def split(group: Sequence[Encoded], share: bool = True) -> list[Prompts]:
    """Finds the longest beginning that all prompts of a group have in common.

    Args:
        group: prompts about the same images.
        share: False makes a prefix of every prompt alone, which is then all of it but a token.

    Returns:
        One `Prompts` with all questions in order; where the images do not lie in the common
        beginning, one for each prompt.
    """
    shared = _common_prefix([prompt.text.tokens for prompt in group])
    images_end = 1 + max(int(np.max(_image_places(prompt), initial=-1)) for prompt in group)
    if share and shared >= images_end:
        return [_cut(group, shared)]
    return [_cut([prompt], len(prompt.text.tokens) - 1) for prompt in group]


def _cut(group: Sequence[Encoded], shared: int) -> Prompts:
    first = group[0]
    prefix = TextInputs(*(array[:shared] for array in first.text))
    questions = tuple(TextInputs(*(array[shared:] for array in one.text)) for one in group)
    return Prompts(first.images, prefix, questions)


def _common_prefix(prompts: Sequence[np.ndarray]) -> int:
    """Number of first tokens that are equal in all; each prompt keeps a token of its own."""
    length = min(map(len, prompts)) - 1
    stacked = np.stack([tokens[:length] for tokens in prompts])
    different = np.flatnonzero((stacked != stacked[0]).any(axis=0))
    return int(different[0]) if len(different) else length


def _image_places(prompt: Encoded) -> np.ndarray:
    return np.flatnonzero(prompt.text.visual_index >= 0)
