"""Attention in parts: over keys that many queries share, over each row's own, then merged.

A part's result is its softmax-weighted mean and the logarithm of the sum that it was divided by;
several of them make that of all keys together, exactly.
"""

from functools import reduce
from typing import NamedTuple

import jax
import jax.numpy as jnp

from vlm3_jax.models.attention.kernels import Kernel

_MASKED = -1e30
_QUERY_BLOCK = 512  # On a CPU the scores of a block stay in its cache.


class Partial(NamedTuple):
    """Attention over some of the keys."""

    mean: jax.Array
    """float32 [..., H, head_dim]."""
    log_sum: jax.Array
    """float32 [..., H]."""


def merge(*parts: Partial) -> jax.Array:
    """Attention over the keys of all parts, float32 [..., H, head_dim]."""
    total = reduce(jnp.logaddexp, (part.log_sum for part in parts))
    return sum(part.mean * jnp.exp(part.log_sum - total)[..., None] for part in parts)


def shared_attention(
    kernel: Kernel, query: jax.Array, keys: jax.Array, values: jax.Array, lengths: jax.Array
) -> Partial:
    """Attention of many queries over the same keys, in one matrix product a key head.

    Args:
        kernel: `blocks` goes head by head and in blocks of queries, for CPUs; with any other all
            is one batched product.
        query: [J, N, H, head_dim].
        keys: [J, K, P, head_dim], H a multiple of K; one set for each j.
        values: [J, K, P, head_dim].
        lengths: int32 [J], how many of the P keys there are. Where it is 0 the part weighs nothing.

    Returns:
        Mean [J, N, H, head_dim] and logarithm [J, N, H].
    """
    return (_by_head if kernel == "blocks" else _at_once)(query, keys, values, lengths)


def own_attention(
    query: jax.Array, keys: jax.Array, values: jax.Array, visible: jax.Array
) -> Partial:
    """Attention of rows over keys of their own.

    Args:
        query: [R, W, H, head_dim].
        keys: [R, K, head_dim, S], H a multiple of K. They lie this way because a few queries meet
            them faster so.
        values: [R, K, S, head_dim].
        visible: bool [R, W, S]. Where a query sees no key the part weighs nothing.

    Returns:
        Mean [R, W, H, head_dim] and logarithm [R, W, H].
    """
    rows, width, heads, head_dim = query.shape
    key_heads, num_keys = keys.shape[1], keys.shape[3]
    group = heads // key_heads
    # One batch axis and one axis of queries: XLA for CPUs moves the operands of any other product.
    by_head = jnp.moveaxis(_group(query, key_heads), 1, 3).reshape(-1, group * width, head_dim)
    scores = jnp.einsum(
        "bnd,bds->bns",
        by_head,
        keys.reshape(-1, head_dim, num_keys),
        preferred_element_type=jnp.float32,
    )
    scores = scores.reshape(rows, key_heads, group, width, num_keys) * head_dim**-0.5
    weights, log_sum = _softmax(jnp.where(visible[:, None, None], scores, _MASKED))
    mean = jnp.einsum(
        "bns,bsd->bnd",
        weights.astype(values.dtype).reshape(-1, group * width, num_keys),
        values.reshape(-1, num_keys, head_dim),
        preferred_element_type=jnp.float32,
    )

    def by_query(x: jax.Array, *rest: int) -> jax.Array:
        x = jnp.moveaxis(x.reshape(rows, key_heads, group, width, *rest), 3, 1)
        return x.reshape(rows, width, heads, *rest)

    return Partial(by_query(mean, head_dim), by_query(log_sum))


def _at_once(query: jax.Array, keys: jax.Array, values: jax.Array, lengths: jax.Array) -> Partial:
    grouped = _group(query, keys.shape[1])
    scores = jnp.einsum("jnkgd,jkpd->jkgnp", grouped, keys, preferred_element_type=jnp.float32)
    there = jnp.arange(keys.shape[2]) < lengths[:, None, None, None, None]
    weights, log_sum = _softmax(jnp.where(there, scores * query.shape[-1] ** -0.5, _MASKED))
    mean = jnp.einsum(
        "jkgnp,jkpd->jnkgd",
        weights.astype(values.dtype),
        values,
        preferred_element_type=jnp.float32,
    )
    return Partial(mean.reshape(query.shape), jnp.moveaxis(log_sum, 3, 1).reshape(query.shape[:-1]))


def _by_head(query: jax.Array, keys: jax.Array, values: jax.Array, lengths: jax.Array) -> Partial:
    sets, num_queries, heads, head_dim = query.shape
    key_heads, num_keys = keys.shape[1:3]
    group = heads // key_heads
    block = min(_QUERY_BLOCK, num_queries * group)
    padding = -(num_queries * group) % block
    by_head = jnp.moveaxis(_group(query, key_heads), 2, 1).reshape(sets * key_heads, -1, head_dim)
    by_head = jnp.pad(by_head, ((0, 0), (0, padding), (0, 0)))

    def one_head(_: None, arrays: tuple[jax.Array, ...]) -> tuple[None, Partial]:
        query, key, value, length = arrays
        there = jnp.arange(num_keys) < length

        def one_block(query: jax.Array) -> Partial:
            scores = jnp.matmul(query, key.T, preferred_element_type=jnp.float32)
            weights, log_sum = _softmax(jnp.where(there, scores * head_dim**-0.5, _MASKED))
            mean = jnp.matmul(
                weights.astype(value.dtype), value, preferred_element_type=jnp.float32
            )
            return Partial(mean, log_sum)

        if len(query) == block:
            return None, one_block(query)
        parts = jax.lax.map(one_block, query.reshape(-1, block, head_dim))
        return None, Partial(parts.mean.reshape(-1, head_dim), parts.log_sum.reshape(-1))

    arrays = (
        by_head,
        keys.reshape(-1, num_keys, head_dim),
        values.reshape(-1, num_keys, head_dim),
        jnp.repeat(lengths, key_heads),
    )
    mean, log_sum = jax.lax.scan(one_head, None, arrays)[1]

    def by_query(x: jax.Array, *rest: int) -> jax.Array:
        x = x[:, : num_queries * group].reshape(sets, key_heads, num_queries, group, *rest)
        return jnp.moveaxis(x, 1, 2).reshape(sets, num_queries, heads, *rest)

    return Partial(by_query(mean, head_dim), by_query(log_sum))


def _group(query: jax.Array, key_heads: int) -> jax.Array:
    """[B, N, H, head_dim] -> [B, N, K, H / K, head_dim]."""
    return query.reshape(*query.shape[:2], key_heads, -1, query.shape[-1])


def _softmax(scores: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Weights over the last axis, and the logarithm of what they were divided by."""
    most = jnp.max(scores, axis=-1, keepdims=True)
    exponentials = jnp.exp(scores - most)
    total = jnp.sum(exponentials, axis=-1, keepdims=True)
    return exponentials / total, (most + jnp.log(total))[..., 0]
