"""What else a row could have said: a program that reads a tree of tokens beside an answer.

A tree's tokens go on from an early place of a finished answer, whose keys and values are still in
the cache. Its levels are read one by one, each in a step of B tokens a row, and what a token leaves
is kept beside the cache for those below it.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from vlm3_jax.decoding.attend import attend_branches
from vlm3_jax.decoding.cache import KeyValues, Sizes
from vlm3_jax.decoding.programs import by_layer, text_rows
from vlm3_jax.decoding.state import State
from vlm3_jax.models.attention.kernels import Kernel
from vlm3_jax.models.execution import Execution
from vlm3_jax.models.functional import Params, build
from vlm3_jax.models.qwen3_vl.config import Qwen3VLConfig, TextConfig

LEVELS = 6
"""Of a tree: the token before a number and five of its own."""
_LIKELIEST = 16  # The digits, the point, and what may follow a number.

Trees = tuple[KeyValues, ...]
"""Of every layer: keys [G * F, K, head_dim, N] and values [G * F, K, N, head_dim] of the trees'
tokens, N = LEVELS * B."""


class Level(NamedTuple):
    """B tokens of the trees of F rows a group, all of them rows of one of its prefixes."""

    number: jax.Array
    """int32 []: the level; 0 is the root's."""
    slots: jax.Array
    """int32 [G]: the prefix; I where there is none."""
    rows: jax.Array
    """int32 [G, F]; Q for padding."""
    starts: jax.Array
    """int32 [G, F]: the answer's token in whose place the first level's continuations stand."""
    tokens: jax.Array
    """int32 [G, F, B]."""
    visible: jax.Array
    """bool [G, F, B, N]: the tokens of its own tree that each sees, itself among them."""


class Likely(NamedTuple):
    """The A likeliest tokens after each of a level."""

    tokens: jax.Array
    """int32 [G, F, B, A]."""
    log_probs: jax.Array
    """float32 [G, F, B, A]."""


def branch(
    params: Params,
    trees: Trees,
    state: State,
    level: Level,
    *,
    config: Qwen3VLConfig,
    kernel: Kernel,
) -> tuple[Trees, Likely]:
    """Reads a level of the trees of rows.

    Args:
        params: the model's parameters.
        trees: the levels above.
        state: what is in flight; it stays as it is.
        level: what to read.
        config: the model's shapes.
        kernel: what computes attention.
    """
    model = build(config, params, Execution(unroll=True))
    groups, asked, number = level.tokens.shape
    rows = groups * asked

    def of_rows(kept: jax.Array) -> jax.Array:
        of_group = lambda kept, slot, rows: kept.at[slot, rows].get(mode="clip")  # noqa: E731
        return jax.vmap(of_group)(kept, level.slots, level.rows)

    # The root is the last token before the number, and is read once more.
    back = of_rows(state.answers.counts) - level.starts
    lengths, positions = of_rows(state.lengths) - back, of_rows(state.positions) - back

    def attend(query: jax.Array, new: KeyValues, kept: tuple) -> tuple[jax.Array, tuple]:
        return attend_branches(
            kernel,
            query,
            new,
            kept,
            level.number * number,
            level.slots,
            level.rows,
            lengths,
            level.visible.reshape(rows, number, -1),
            state.prefix_lengths,
        )

    positions = jnp.broadcast_to((positions + level.number).reshape(rows, 1, 1), (rows, number, 3))
    text = text_rows(level.tokens.reshape(rows, number), positions)
    kept = tuple(zip(state.cache, trees, strict=True))
    hidden, kept = model.hidden(text, None, by_layer(attend), kept)
    logits = model.logits(hidden)
    most, tokens = jax.lax.top_k(logits, min(_LIKELIEST, logits.shape[-1]))
    log_probs = most - jax.nn.logsumexp(logits, axis=-1, keepdims=True)
    shape = groups, asked, number, -1
    likely = Likely(tokens.reshape(shape), log_probs.reshape(shape))
    return tuple(trees for _, trees in kept), likely


def empty_trees(config: TextConfig, sizes: Sizes, dtype: jnp.dtype) -> Trees:
    """Trees of which nothing has been read."""
    rows = sizes.groups * sizes.asked, config.num_key_value_heads
    nodes, size = LEVELS * sizes.branches, config.head_dim
    keys, values = (*rows, size, nodes), (*rows, nodes, size)
    trees = KeyValues(jnp.zeros(keys, dtype), jnp.zeros(values, dtype))
    return (trees,) * config.num_hidden_layers
