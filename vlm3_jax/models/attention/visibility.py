"""Who may see whom in rows that hold several samples, questions and images.

Tokens of a sample and patches of an image lie side by side, so what a query sees lies between two
places of its row. Kernels use these bounds to leave out blocks, and the ids for what is inside.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp


class Bounds(NamedTuple):
    """For every place of a row, the first and the last place that it has to do with, int32 [B, L].

    What lies between may be masked; nothing outside is visible. Padding has to do with itself only,
    so no row of a softmax is empty.
    """

    first: jax.Array
    last: jax.Array


def key_bounds(segment_ids: jax.Array, *, causal: bool) -> Bounds:
    """Bounds of the keys that a query sees.

    Args:
        segment_ids: int32 [B, L]; equal ids lie side by side, 0 is padding.
        causal: whether a query sees only what comes before it.
    """
    return _bounds(segment_ids, up_to_itself=causal, from_itself=False)


def query_bounds(segment_ids: jax.Array, *, causal: bool) -> Bounds:
    """Bounds of the queries that see a key; arguments as of `key_bounds`."""
    return _bounds(segment_ids, up_to_itself=False, from_itself=causal)


def causal_mask(segment_ids: jax.Array, question_ids: jax.Array) -> jax.Array:
    """Mask of the language model for rows that hold samples and questions (see `TextInputs`).

    Args:
        segment_ids: int32 [B, L].
        question_ids: int32 [B, L].

    Returns:
        bool [B, L, L].
    """
    order = jnp.arange(segment_ids.shape[1])
    before = order[:, None] >= order[None, :]
    same_sample = segment_ids[:, :, None] == segment_ids[:, None, :]
    shared = question_ids[:, None, :] == 0
    same_question = question_ids[:, :, None] == question_ids[:, None, :]
    return before & same_sample & (shared | same_question)


def image_mask(segment_ids: jax.Array) -> jax.Array:
    """Mask of the vision tower: patches see the patches of their own image, bool [B, P, P]."""
    return segment_ids[:, :, None] == segment_ids[:, None, :]


def _bounds(segment_ids: jax.Array, *, up_to_itself: bool, from_itself: bool) -> Bounds:
    own = jnp.broadcast_to(jnp.arange(segment_ids.shape[1], dtype=jnp.int32), segment_ids.shape)
    differs = segment_ids[:, 1:] != segment_ids[:, :-1]
    edge = jnp.ones_like(differs, shape=(len(segment_ids), 1))
    starts = jnp.concatenate([edge, differs], axis=1)
    ends = jnp.concatenate([differs, edge], axis=1)
    last_place = segment_ids.shape[1] - 1
    first = jax.lax.cummax(jnp.where(starts, own, 0), axis=1)
    last = jax.lax.cummin(jnp.where(ends, own, last_place), axis=1, reverse=True)
    is_padding = segment_ids == 0
    return Bounds(
        jnp.where(is_padding | from_itself, own, first),
        jnp.where(is_padding | up_to_itself, own, last),
    )
