"""Attention of packed rows by XLA alone, for CPUs: blocks of queries meet blocks of keys.

A block of queries goes only through the keys between the bounds of what it can see, so the work
follows the lengths of samples and images, and no mask or score of a whole row ever exists. The
backward pass computes the weights again from the log-sum-exp (Dao et al., FlashAttention-2,
arXiv 2307.08691).
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name

from vlm3_jax.models.attention import SAVED
from vlm3_jax.models.attention.visibility import key_bounds

BLOCK_SIZE = 128
"""Queries, and keys, at a time."""
_MASKED = -1e30


class _Rows(NamedTuple):
    """Integers of B rows; N blocks of queries."""

    first: jax.Array
    """[B, N]: the first key that a block of queries has to do with."""
    visits: jax.Array
    """[B, N]: blocks of keys from there on."""
    segments: jax.Array
    """[B, keys]."""
    questions: jax.Array
    """[B, keys]."""


def block_attention(
    query: jax.Array,
    key: jax.Array,
    value: jax.Array,
    segment_ids: jax.Array,
    question_ids: jax.Array | None = None,
    *,
    causal: bool,
    block_size: int = BLOCK_SIZE,
) -> jax.Array:
    """Attention within segments, softmax in float32, scaled by 1 / sqrt(head_dim).

    Under `jax.checkpoint` the name `SAVED` keeps what the backward pass needs of the forward.

    Args:
        query: [B, L, H, head_dim].
        key: [B, L, K, head_dim], H a multiple of K.
        value: [B, L, K, head_dim].
        segment_ids: int32 [B, L]; equal ids lie side by side, 0 is padding.
        question_ids: int32 [B, L] as in `TextInputs`; None where all keys are shared.
        causal: whether a query sees only what comes before it in its row.
        block_size: queries, and keys, at a time.

    Returns:
        [B, L, H, head_dim]; padding gets finite, meaningless values.
    """
    batch, length, heads, head_dim = query.shape
    key_heads = key.shape[2]
    block = min(block_size, length)
    padding = -length % block
    blocks = (length + padding) // block
    if question_ids is None:
        question_ids = jnp.zeros_like(segment_ids)

    def of_queries(x: jax.Array) -> jax.Array:
        """[B, L, H, head_dim] -> [B, N, K, queries, head_dim]: those of all heads of a key."""
        x = jnp.pad(x, ((0, 0), (0, padding), (0, 0), (0, 0)))
        x = x.reshape(batch, blocks, block, key_heads, -1, head_dim).transpose(0, 1, 3, 4, 2, 5)
        return x.reshape(batch, blocks, key_heads, -1, head_dim)

    def of_keys(x: jax.Array) -> jax.Array:
        """[B, L, K, head_dim] -> [B, K, keys, head_dim]; the last block may begin anywhere."""
        x = jnp.pad(x, ((0, 0), (0, padding + block), (0, 0), (0, 0)))
        return jnp.swapaxes(x, 1, 2)

    def of_ids(x: jax.Array) -> jax.Array:
        return jnp.pad(x, ((0, 0), (0, padding + block)))

    bounds = key_bounds(of_ids(segment_ids)[:, : length + padding], causal=causal)
    first = jnp.min(bounds.first.reshape(batch, blocks, block), axis=-1)
    last = jnp.max(bounds.last.reshape(batch, blocks, block), axis=-1)
    rows = _Rows(first, (last - first) // block + 1, of_ids(segment_ids), of_ids(question_ids))
    out = _attention(causal, block, of_queries(query), of_keys(key), of_keys(value), rows)
    out = out.reshape(batch, blocks, key_heads, -1, block, head_dim)
    out = out.transpose(0, 1, 4, 2, 3, 5).reshape(batch, length + padding, heads, head_dim)
    return out[:, :length]


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _attention(
    causal: bool, block: int, query: jax.Array, key: jax.Array, value: jax.Array, rows: _Rows
) -> jax.Array:
    return _forward(causal, block, query, key, value, rows)[0]


def _forward(
    causal: bool, block: int, query: jax.Array, key: jax.Array, value: jax.Array, rows: _Rows
) -> tuple[jax.Array, jax.Array]:
    """Output, like `query`, and log-sum-exp [B, N, K, queries] of the scores."""

    def one_block(
        key: jax.Array, value: jax.Array, ids: _Rows, index: jax.Array, query: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        def visit(number: jax.Array, carry: tuple) -> tuple:
            highest, total, out = carry
            start = ids.first[index] + number * block
            scores = _scores(query, _part(key, start, block), ids, index, start, causal)
            higher = jnp.maximum(highest, jnp.max(scores, axis=-1))
            weights = jnp.exp(scores - higher[..., None])
            shrink = jnp.exp(highest - higher)
            added = jnp.einsum(
                "krc,kcd->krd",
                weights.astype(value.dtype),
                _part(value, start, block),
                preferred_element_type=jnp.float32,
            )
            total = total * shrink + jnp.sum(weights, axis=-1)
            return higher, total, out * shrink[..., None] + added

        zeros = jnp.zeros(query.shape, jnp.float32)
        start = (jnp.full_like(zeros[..., 0], _MASKED), zeros[..., 0], zeros)
        highest, total, out = jax.lax.fori_loop(0, ids.visits[index], visit, start)
        return (out / total[..., None]).astype(query.dtype), highest + jnp.log(total)

    def one_row(arrays: tuple) -> tuple[jax.Array, jax.Array]:
        query, *others = arrays
        blocks = (jnp.arange(len(query)), query)
        return jax.lax.map(lambda own: one_block(*others, *own), blocks)

    return jax.lax.map(one_row, (query, key, value, rows))


def _forward_and_save(
    causal: bool, block: int, query: jax.Array, key: jax.Array, value: jax.Array, rows: _Rows
) -> tuple[jax.Array, tuple]:
    saved = _forward(causal, block, query, key, value, rows)
    out, log_sum = (checkpoint_name(x, SAVED) for x in saved)
    return out, (query, key, value, rows, out, log_sum)


def _backward(
    causal: bool, block: int, saved: tuple, gradient: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array, None]:
    query, key, value, rows, out, log_sum = saved
    scale = query.shape[-1] ** -0.5
    product = partial(jnp.einsum, preferred_element_type=jnp.float32)
    # What the softmax takes off the gradient of every weight of a query.
    mean = jnp.sum(gradient.astype(jnp.float32) * out.astype(jnp.float32), axis=-1)

    def one_row(arrays: tuple) -> tuple[jax.Array, jax.Array, jax.Array]:
        key, value, ids, *of_blocks = arrays

        def one_block(sums: tuple, own: tuple) -> tuple[tuple, jax.Array]:
            index, query, gradient, log_sum, mean = own

            def visit(number: jax.Array, carry: tuple) -> tuple:
                of_query, of_key, of_value = carry
                start = ids.first[index] + number * block
                keys, values = _part(key, start, block), _part(value, start, block)
                scores = _scores(query, keys, ids, index, start, causal)
                weights = jnp.exp(scores - log_sum[..., None])
                of_weights = product("krd,kcd->krc", gradient, values)
                of_scores = weights * (of_weights - mean[..., None]) * scale
                of_scores = of_scores.astype(query.dtype)
                return (
                    of_query + product("krc,kcd->krd", of_scores, keys),
                    _add(of_key, product("krc,krd->kcd", of_scores, query), start),
                    _add(
                        of_value,
                        product("krc,krd->kcd", weights.astype(value.dtype), gradient),
                        start,
                    ),
                )

            carry = (jnp.zeros(query.shape, jnp.float32), *sums)
            of_query, *sums = jax.lax.fori_loop(0, ids.visits[index], visit, carry)
            return tuple(sums), of_query.astype(query.dtype)

        zeros = jnp.zeros(key.shape, jnp.float32), jnp.zeros(value.shape, jnp.float32)
        blocks = (jnp.arange(len(of_blocks[0])), *of_blocks)
        (of_key, of_value), of_query = jax.lax.scan(one_block, zeros, blocks)
        return of_query, of_key.astype(key.dtype), of_value.astype(value.dtype)

    arrays = (key, value, rows, query, gradient, log_sum, mean)
    return *jax.lax.map(one_row, arrays), None  # Integers have no gradient.


_attention.defvjp(_forward_and_save, _backward)


def _scores(
    query: jax.Array, keys: jax.Array, ids: _Rows, index: jax.Array, start: jax.Array, causal: bool
) -> jax.Array:
    """Of a block of queries and the keys from `start` on, float32 [K, queries, block]."""
    block, head_dim = keys.shape[1:]
    own = index * block
    part = partial(jax.lax.dynamic_slice_in_dim, slice_size=block)
    visible = part(ids.segments, own)[:, None] == part(ids.segments, start)[None]
    if causal:
        places = jnp.arange(block)
        asked = part(ids.questions, start)[None]
        same = part(ids.questions, own)[:, None] == asked
        visible &= ((own + places)[:, None] >= (start + places)[None]) & (same | (asked == 0))
    scores = jnp.einsum("krd,kcd->krc", query, keys, preferred_element_type=jnp.float32)
    by_head = scores.reshape(len(scores), -1, block, block) * head_dim**-0.5
    return jnp.where(visible, by_head, _MASKED).reshape(scores.shape)


def _part(x: jax.Array, start: jax.Array, size: int) -> jax.Array:
    """[K, keys, head_dim] -> [K, size, head_dim]."""
    return jax.lax.dynamic_slice_in_dim(x, start, size, axis=1)


def _add(x: jax.Array, part: jax.Array, start: jax.Array) -> jax.Array:
    """Adds to [K, keys, head_dim] from a key on."""
    total = _part(x, start, part.shape[1]) + part
    return jax.lax.dynamic_update_slice_in_dim(x, total, start, axis=1)
