"""What is in flight, on the devices.

G groups of devices hold I prefixes each, every prefix Q rows, and a row a question and its answer.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from vlm3_jax.decoding.cache import Cache, Sizes
from vlm3_jax.decoding.drafting import Progress
from vlm3_jax.models.qwen3_vl.config import Qwen3VLConfig


class Answers(NamedTuple):
    """What rows have said; N = T + W places a row, of which the first `counts` mean something."""

    tokens: jax.Array
    """int32 [G, I, Q, N]."""
    log_probs: jax.Array
    """float32 [G, I, Q, N]: of each token, after those before it."""
    counts: jax.Array
    """int32 [G, I, Q]."""
    active: jax.Array
    """bool [G, I, Q]: rows whose answer is not at its end."""


class State(NamedTuple):
    """Everything that is in flight."""

    cache: tuple[Cache, ...]
    """Of every layer."""
    prefix_lengths: jax.Array
    """int32 [G, I]."""
    lengths: jax.Array
    """int32 [G, I, Q]: tokens of a row that its cache holds."""
    positions: jax.Array
    """int32 [G, I, Q]: M-RoPE position of the next token."""
    limits: jax.Array
    """int32 [G, I, Q]: tokens of the longest answer."""
    answers: Answers
    progress: Progress


class Questions(NamedTuple):
    """F questions a group, for the rows of one of its prefixes."""

    slots: jax.Array
    """int32 [G]: the prefix; I where there is none."""
    rows: jax.Array
    """int32 [G, F]; Q for padding."""
    tokens: jax.Array
    """int32 [G, F, L]: what follows the prefix."""
    positions: jax.Array
    """int32 [G, F, L, 3]."""
    lengths: jax.Array
    """int32 [G, F]."""
    limits: jax.Array
    """int32 [G, F]: tokens of the longest answer."""


def empty_state(config: Qwen3VLConfig, sizes: Sizes, dtype: jnp.dtype) -> State:
    """Nothing in flight."""
    prefixes = sizes.groups, sizes.images
    rows = *prefixes, sizes.rows
    said = *rows, sizes.answer + sizes.window
    zeros = lambda shape: jnp.zeros(shape, jnp.int32)  # noqa: E731
    return State(
        cache=(Cache.zeros(config.text, sizes, dtype),) * config.text.num_hidden_layers,
        prefix_lengths=zeros(prefixes),
        lengths=zeros(rows),
        positions=zeros(rows),
        limits=zeros(rows),
        answers=Answers(
            tokens=zeros(said),
            log_probs=jnp.zeros(said, jnp.float32),
            counts=zeros(rows),
            active=jnp.zeros(rows, bool),
        ),
        progress=Progress.zeros(rows),
    )
