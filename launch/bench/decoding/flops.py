"""FLOPs that answering needs, one question at a time and with what is common computed once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from vlm3_jax.data.chat import Sample
from vlm3_jax.data.encoder import Encoder
from vlm3_jax.models.qwen3_vl.config import Qwen3VLConfig, TextConfig
from vlm3_jax.training.flops import (
    flops_per_logits,
    flops_per_patch,
    flops_per_patch_pair,
    flops_per_token,
    flops_per_token_pair,
)


@dataclass(frozen=True)
class Prompts:
    """Sizes of the questions on one image."""

    patches: int
    image_tokens: int
    prefix: int
    """First tokens that are equal in all questions, those of the image among them."""
    own: tuple[int, ...]
    """Further tokens of each question."""


class Flops(NamedTuple):
    """Of all questions on an image; 2 a multiply-add of a matrix product, as in training."""

    alone: float
    """Vision and the whole prompt for each question."""
    shared: float
    """Vision and the common prefix once."""


def prompt_sizes(encoder: Encoder, sample: Sample, questions: int) -> Prompts:
    """Measures the first questions of a sample."""
    prompts = encoder.encode_prompts(replace(sample, turns=sample.turns[:questions]))
    tokens = [prompt.text.tokens for prompt in prompts]
    # The last token of a prompt says the first of its answer, so it is the question's own.
    shortest = min(map(len, tokens)) - 1
    stacked = np.stack([ids[:shortest] for ids in tokens])
    different = np.flatnonzero((stacked != stacked[0]).any(axis=0))
    prefix = int(different[0]) if len(different) else shortest
    return Prompts(
        patches=len(prompts[0].images.patches),
        image_tokens=int((prompts[0].text.visual_index >= 0).sum()),
        prefix=prefix,
        own=tuple(len(ids) - prefix for ids in tokens),
    )


def decoding_flops(config: Qwen3VLConfig, prompts: Prompts, new_tokens: Sequence[int]) -> Flops:
    """Counts products of real tokens and patches: no padding, and no key that is not seen.

    Drafted tokens that are not accepted would come on top; accepted ones cost what they cost one by
    one.

    Args:
        config: shapes; the image is a single one.
        prompts: the questions.
        new_tokens: tokens of each answer. The last is not read, and logits are made of no others.
    """
    vision = prompts.patches * flops_per_patch(config.vision)
    vision += prompts.patches**2 * flops_per_patch_pair(config.vision)
    prefix = vision + _read(config.text, prompts.prefix, after=0)
    rest = [
        _read(config.text, own + new - 1, after=prompts.prefix)
        + new * flops_per_logits(config.text)
        for own, new in zip(prompts.own, new_tokens, strict=True)
    ]
    return Flops(alone=len(rest) * prefix + sum(rest), shared=prefix + sum(rest))


def _read(config: TextConfig, tokens: int, after: int) -> float:
    """Of tokens in the decoder, each of which sees itself, those before it and `after` more."""
    pairs = tokens * after + tokens * (tokens + 1) / 2
    return tokens * flops_per_token(config) + pairs * flops_per_token_pair(config)
