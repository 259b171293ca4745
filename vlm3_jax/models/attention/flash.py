"""Attention over packed rows for NVIDIA GPUs: Pallas kernels, forward and backward.

The algorithm is FlashAttention-2 (https://arxiv.org/abs/2307.08691). A block of queries runs over
the blocks of keys between the bounds of what it can see, so the work follows the lengths of samples
and images, not the length of the row; the ids decide inside a block.

The kernels go through Triton (`jax.experimental.pallas.triton`). Letters: B rows, L places, H query
heads, K key heads. Products of float32 inputs are TF32 there, as Triton's default is.
"""

import math
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton

from vlm3_jax.models.attention import SAVED
from vlm3_jax.models.attention.visibility import Bounds, key_bounds, query_bounds

# Finite, so that a row of a block in which nothing is visible gives no NaN.
_MASKED = -1e30


class Tile(NamedTuple):
    """How many queries and keys a kernel works on at a time (powers of two, 16 or more)."""

    query: int
    key: int
    num_warps: int


class BlockSizes(NamedTuple):
    """Tiles of the kernels: no registers spill on an H100 in bfloat16; speed is unmeasured."""

    forward: Tile = Tile(query=128, key=64, num_warps=8)
    dq: Tile = Tile(query=64, key=64, num_warps=4)
    dkv: Tile = Tile(query=32, key=128, num_warps=8)


DEFAULT = BlockSizes()


def flash_attention(
    query: jax.Array,
    key: jax.Array,
    value: jax.Array,
    segment_ids: jax.Array,
    question_ids: jax.Array | None = None,
    *,
    causal: bool,
    block_sizes: BlockSizes = DEFAULT,
    interpret: bool = False,
) -> jax.Array:
    """Scaled dot-product attention inside segments, with grouped key heads, softmax in float32.

    Query i sees key j when both have the same segment id and, with `causal`, j <= i and key j is
    shared (question id 0) or belongs to the question of i: `visibility.causal_mask`, or
    `visibility.image_mask` without `causal`. What padding gets is finite and meaningless.

    Under `jax.checkpoint` the name `SAVED` keeps what the backward pass needs of the forward.

    Args:
        query: [B, L, H, head_dim].
        key: [B, L, K, head_dim], H a multiple of K.
        value: [B, L, K, head_dim].
        segment_ids: int32 [B, L]; equal ids lie side by side, 0 is padding.
        question_ids: int32 [B, L], 0 is seen by every question; None where nobody asks.
        causal: whether a query sees only itself and what comes before it.
        block_sizes: tiles of the kernels; L is padded to a common multiple of their sizes.
        interpret: run without a GPU, slowly; in a `shard_map` this wants `check_vma=False`.

    Returns:
        [B, L, H, head_dim] in the type of `query`.

    Raises:
        ValueError: H is no multiple of K, or questions without `causal`.
    """
    if query.shape[2] % key.shape[2]:
        raise ValueError(f"{query.shape[2]} query heads for {key.shape[2]} key heads.")
    if question_ids is not None and not causal:
        raise ValueError("Question ids have no meaning without `causal`.")
    length = query.shape[1]
    missing = -length % math.lcm(*(size for tile in block_sizes for size in tile[:2]))

    def pad(x: jax.Array) -> jax.Array:
        return jnp.pad(x, [(0, 0), (0, missing)] + [(0, 0)] * (x.ndim - 2))

    ids = jax.tree.map(pad, _Ids(segment_ids, question_ids))
    out = _attend(pad(query), pad(key), pad(value), ids, causal, block_sizes, interpret)
    return out[:, :length]


class _Ids(NamedTuple):
    """What decides who sees whom, int32 [B, L]; question ids may be None."""

    segments: jax.Array
    questions: jax.Array | None


class _Given(NamedTuple):
    """What the backward kernels read: [B, L, heads, head_dim]; the last two float32 [B, H, L]."""

    query: jax.Array
    key: jax.Array
    value: jax.Array
    d_out: jax.Array
    log_sum: jax.Array  # Logarithm to base 2 of the softmax's denominator.
    delta: jax.Array  # Inner product of the output and its cotangent.


@partial(jax.custom_vjp, nondiff_argnums=(4, 5, 6))
def _attend(query, key, value, ids, causal, block_sizes, interpret):
    return _attend_forward(query, key, value, ids, causal, block_sizes, interpret)[0]


def _attend_forward(query, key, value, ids, causal, block_sizes, interpret):
    _, length, heads, head_dim = query.shape
    # Float32 [B, H, L], and over the same axes of a `shard_map` as the query.
    log_sum = jax.eval_shape(lambda x: x[..., 0].mT.astype(jnp.float32), query)
    settings = {"head_dim": head_dim, "causal": causal, "interpret": interpret}
    tile = block_sizes.forward
    block, row, statistic = _query_specs(length, head_dim, heads // key.shape[2], tile.query)
    out, log_sum = _call(
        flash_attention_forward,
        (query, key, value),
        ids,
        _blocks(key_bounds(ids.segments, causal=causal), tile.query, tile.key),
        heads=heads,
        in_specs=(block, row, row),
        out_specs=(block, statistic),
        out_shape=(jax.ShapeDtypeStruct.like(query), log_sum),
        tile=tile,
        **settings,
    )
    out, log_sum = (checkpoint_name(x, SAVED) for x in (out, log_sum))
    return out, (query, key, value, ids, out, log_sum)


def _attend_backward(causal, block_sizes, interpret, kept, d_out):
    query, key, value, ids, out, log_sum = kept
    _, length, heads, head_dim = query.shape
    group = heads // key.shape[2]
    delta = jnp.einsum("blhd,blhd->bhl", out, d_out, preferred_element_type=jnp.float32)
    given = _Given(query, key, value, d_out, log_sum, delta)

    settings = {"head_dim": head_dim, "causal": causal, "interpret": interpret}
    tile = block_sizes.dq
    block, row, statistic = _query_specs(length, head_dim, group, tile.query)
    d_query = _call(
        flash_attention_dq,
        given,
        ids,
        _blocks(key_bounds(ids.segments, causal=causal), tile.query, tile.key),
        heads=heads,
        in_specs=_Given(block, row, row, block, statistic, statistic),
        out_specs=block,
        out_shape=jax.ShapeDtypeStruct.like(query),
        tile=tile,
        **settings,
    )

    tile = block_sizes.dkv
    block, rows, statistics = _key_specs(length, head_dim, group, tile.key)
    d_key, d_value = _call(
        flash_attention_dkv,
        given,
        ids,
        _blocks(query_bounds(ids.segments, causal=causal), tile.key, tile.query),
        heads=heads // group,
        in_specs=_Given(rows, block, block, rows, statistics, statistics),
        out_specs=(block, block),
        out_shape=(jax.ShapeDtypeStruct.like(key), jax.ShapeDtypeStruct.like(value)),
        tile=tile,
        **settings,
    )
    return d_query, d_key, d_value, None


_attend.defvjp(_attend_forward, _attend_backward)


def _call(kernel, arrays, ids, bounds, *, heads, in_specs, tile, head_dim, causal, **options):
    """Runs a kernel for every block that has bounds, head and row."""
    batch, blocks = bounds.first.shape
    row = pl.BlockSpec((None, ids.segments.shape[1]), lambda i, h, b: (b, 0))
    own = pl.BlockSpec((None, None), lambda i, h, b: (b, i))
    return pl.pallas_call(
        partial(kernel, tile=tile, head_dim=head_dim, causal=causal),
        grid=(blocks, heads, batch),
        in_specs=(in_specs, jax.tree.map(lambda _: row, ids), Bounds(own, own)),
        compiler_params=triton.CompilerParams(num_warps=tile.num_warps, num_stages=2),
        name=kernel.__name__,
        **options,
    )(arrays, ids, bounds)


def _blocks(bounds: Bounds, own: int, visited: int) -> Bounds:
    """For each block of `own` places, the first and one past the last block to visit."""
    first = bounds.first.reshape(len(bounds.first), -1, own).min(axis=-1)
    last = bounds.last.reshape(len(bounds.last), -1, own).max(axis=-1)
    return Bounds(first // visited, last // visited + 1)


# What a program of the grid (block i, head h, row b) sees of [B, L, heads, head_dim] and [B, H, L].


def _query_specs(length: int, head_dim: int, group: int, size: int) -> tuple[pl.BlockSpec, ...]:
    """A block of a query head's places, all places of its key head, the block of [B, H, L]."""
    width = pl.next_power_of_2(head_dim)
    return (
        pl.BlockSpec((None, size, None, width), lambda i, h, b: (b, i, h, 0)),
        pl.BlockSpec((None, length, None, width), lambda i, h, b: (b, 0, h // group, 0)),
        pl.BlockSpec((None, None, size), lambda i, h, b: (b, h, i)),
    )


def _key_specs(length: int, head_dim: int, group: int, size: int) -> tuple[pl.BlockSpec, ...]:
    """A block of a key head's places, all places of its query heads, all theirs of [B, H, L]."""
    width = pl.next_power_of_2(head_dim)
    return (
        pl.BlockSpec((None, size, None, width), lambda i, h, b: (b, i, h, 0)),
        pl.BlockSpec((None, length, group, width), lambda i, h, b: (b, 0, h, 0)),
        pl.BlockSpec((None, group, length), lambda i, h, b: (b, h, 0)),
    )


# The kernels, which appear in profiles by the names of their functions. Arguments are references.


def flash_attention_forward(given, ids, bounds, out, log_sum, *, tile, head_dim, causal):
    """Output of a block of queries, and the logarithm of its softmax's denominator."""
    query, key, value = given
    own_query = _load(query, head_dim)
    queries = _places(ids, pl.program_id(0), tile.query, axis=0)

    def visit(block, carry):
        total, peak, denominator = carry
        span = pl.ds(block * tile.key, tile.key)
        keys = _places(ids, block, tile.key, axis=1)
        scores = _scores(own_query, _load(key.at[span], head_dim), head_dim)
        scores = jnp.where(_visible(queries, keys, causal), scores, _MASKED)
        new_peak = jnp.maximum(peak, scores.max(axis=1))
        shrink = jnp.exp2(peak - new_peak)
        weights = jnp.exp2(scores - new_peak[:, None])
        added = triton.dot(weights.astype(value.dtype), _load(value.at[span], head_dim))
        denominator = denominator * shrink + weights.sum(axis=1)
        return total * shrink[:, None] + added, new_peak, denominator

    total, denominator = jnp.zeros(own_query.shape, jnp.float32), jnp.zeros(tile.query, jnp.float32)
    start = (total, jnp.full(tile.query, _MASKED, jnp.float32), denominator)
    total, peak, denominator = jax.lax.fori_loop(bounds.first[...], bounds.last[...], visit, start)
    _store(out, total / denominator[:, None], head_dim)
    log_sum[...] = peak + jnp.log2(denominator)


def flash_attention_dq(given, ids, bounds, d_query, *, tile, head_dim, causal):
    """Gradient of a block of queries."""
    query, d_out = _load(given.query, head_dim), _load(given.d_out, head_dim)
    log_sum, delta = given.log_sum[...][:, None], given.delta[...][:, None]
    queries = _places(ids, pl.program_id(0), tile.query, axis=0)

    def visit(block, total):
        span = pl.ds(block * tile.key, tile.key)
        keys = _places(ids, block, tile.key, axis=1)
        key, value = _load(given.key.at[span], head_dim), _load(given.value.at[span], head_dim)
        weights = jnp.exp2(_scores(query, key, head_dim) - log_sum)
        weights = jnp.where(_visible(queries, keys, causal), weights, 0.0)
        d_scores = weights * (triton.dot(d_out, value.T) - delta)
        return total + triton.dot(d_scores.astype(key.dtype), key)

    start = jnp.zeros(query.shape, jnp.float32)
    total = jax.lax.fori_loop(bounds.first[...], bounds.last[...], visit, start)
    _store(d_query, total / math.sqrt(head_dim), head_dim)


def flash_attention_dkv(given, ids, bounds, d_key, d_value, *, tile, head_dim, causal):
    """Gradients of a block of keys and values, summed over the query heads of their group.

    Scores stand as [key, query] here, so that the weights need no transposition.
    """
    key, value = _load(given.key, head_dim), _load(given.value, head_dim)
    keys = _places(ids, pl.program_id(0), tile.key, axis=0)

    def of_head(head, totals):
        def visit(block, totals):
            key_total, value_total = totals
            span = pl.ds(block * tile.query, tile.query)
            queries = _places(ids, block, tile.query, axis=1)
            query = _load(given.query.at[span, head], head_dim)
            d_out = _load(given.d_out.at[span, head], head_dim)
            weights = jnp.exp2(_scores(key, query, head_dim) - given.log_sum[head, span][None])
            weights = jnp.where(_visible(queries, keys, causal), weights, 0.0)
            d_scores = weights * (triton.dot(value, d_out.T) - given.delta[head, span][None])
            key_total += triton.dot(d_scores.astype(query.dtype), query)
            value_total += triton.dot(weights.astype(d_out.dtype), d_out)
            return key_total, value_total

        return jax.lax.fori_loop(bounds.first[...], bounds.last[...], visit, totals)

    start = (jnp.zeros(key.shape, jnp.float32), jnp.zeros(value.shape, jnp.float32))
    key_total, value_total = jax.lax.fori_loop(0, given.query.shape[1], of_head, start)
    _store(d_key, key_total / math.sqrt(head_dim), head_dim)
    _store(d_value, value_total, head_dim)


class _Places(NamedTuple):
    """Where the places of a block stand in the row, and their ids, along one axis of the scores."""

    order: jax.Array
    segments: jax.Array
    questions: jax.Array | None


def _places(ids: _Ids, block: jax.Array, size: int, axis: int) -> _Places:
    order = block * size + jnp.arange(size)
    places = _Places(order, *jax.tree.map(lambda ref: ref[pl.ds(block * size, size)], ids))
    return jax.tree.map(lambda x: jnp.expand_dims(x, 1 - axis), places)


def _visible(queries: _Places, keys: _Places, causal: bool) -> jax.Array:
    visible = queries.segments == keys.segments
    if causal:
        visible &= queries.order >= keys.order
    if queries.questions is not None:
        visible &= (keys.questions == 0) | (queries.questions == keys.questions)
    return visible


def _scores(rows: jax.Array, columns: jax.Array, head_dim: int) -> jax.Array:
    """Scaled scores to base 2: exp2 is what the hardware has."""
    return triton.dot(rows, columns.T) * (math.log2(math.e) / math.sqrt(head_dim))


def _load(ref, head_dim: int) -> jax.Array:
    """[places, head_dim], filled up with zeros to the power of two that Triton wants."""
    mask = _is_inside(ref, head_dim)
    return ref[...] if mask is None else triton.load(ref, mask=mask, other=0.0)


def _store(ref, x: jax.Array, head_dim: int) -> None:
    triton.store(ref, x.astype(ref.dtype), mask=_is_inside(ref, head_dim))


def _is_inside(ref, head_dim: int) -> jax.Array | None:
    size = ref.shape[-1]
    return None if size == head_dim else (jnp.arange(size) < head_dim)[None]
