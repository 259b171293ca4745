"""Attention over packed rows for NVIDIA GPUs: Pallas kernels, forward and backward.

The algorithm is FlashAttention-2 (https://arxiv.org/abs/2307.08691). A block of queries runs over
the blocks of keys between the bounds of what it can see, so the work follows the lengths of samples
and images, not the length of the row; the ids decide inside a block.

The kernels go through Triton (`jax.experimental.pallas.triton`). Letters: B rows, L places, H query
heads, K key heads.
"""

import math
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton

from vlm3_jax.models.attention.visibility import Bounds, key_bounds, query_bounds

# Finite, so that a row of a block in which nothing is visible gives no NaN.
_MASKED = -1e30
_LOG2_E = math.log2(math.e)


class Tile(NamedTuple):
    """How many queries and keys a kernel works on at a time (powers of two, 16 or more)."""

    query: int
    key: int
    num_warps: int


class BlockSizes(NamedTuple):
    """The tiles of the three kernels."""

    forward: Tile = Tile(query=128, key=64, num_warps=8)
    dq: Tile = Tile(query=64, key=64, num_warps=4)
    dkv: Tile = Tile(query=64, key=64, num_warps=4)

    @property
    def step(self) -> int:
        """A row whose length is a multiple of this needs no padding."""
        return math.lcm(*(size for tile in self for size in (tile.query, tile.key)))


DEFAULT = BlockSizes()


class _Ids(NamedTuple):
    """What decides who sees whom, int32 [B, L]; question ids may be None."""

    segments: jax.Array
    questions: jax.Array | None


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

    Under `jax.checkpoint` the name "attention" keeps what the backward pass needs of the forward.

    Args:
        query: [B, L, H, head_dim].
        key: [B, L, K, head_dim], H a multiple of K.
        value: [B, L, K, head_dim].
        segment_ids: int32 [B, L]; equal ids lie side by side, 0 is padding.
        question_ids: int32 [B, L], 0 is seen by every question; None where nobody asks.
        causal: whether a query sees only itself and what comes before it.
        block_sizes: tiles of the kernels; L is padded to a multiple of `block_sizes.step`.
        interpret: run without a GPU, slowly.

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
    missing = -length % block_sizes.step

    def pad(x: jax.Array) -> jax.Array:
        return jnp.pad(x, [(0, 0), (0, missing)] + [(0, 0)] * (x.ndim - 2))

    ids = jax.tree.map(pad, _Ids(segment_ids, question_ids))
    out = _attend(pad(query), pad(key), pad(value), ids, causal, block_sizes, interpret)
    return out[:, :length]


@partial(jax.custom_vjp, nondiff_argnums=(4, 5, 6))
def _attend(query, key, value, ids, causal, block_sizes, interpret):
    return _attend_forward(query, key, value, ids, causal, block_sizes, interpret)[0]


def _attend_forward(query, key, value, ids, causal, block_sizes, interpret):
    batch, length, heads, head_dim = query.shape
    group = heads // key.shape[2]
    tile = block_sizes.forward
    bounds = _key_blocks(ids, causal, tile)
    out, log_sum = pl.pallas_call(
        partial(flash_attention_forward, tile=tile, head_dim=head_dim, causal=causal),
        grid=(length // tile.query, heads, batch),
        in_specs=(
            _block_spec(query, tile.query),
            _row_spec(key, group),
            _row_spec(value, group),
            *_visibility_specs(ids, bounds),
        ),
        out_specs=(_block_spec(query, tile.query), _statistic_spec(tile.query)),
        out_shape=(
            jax.ShapeDtypeStruct(query.shape, query.dtype),
            jax.ShapeDtypeStruct((batch, heads, length), jnp.float32),
        ),
        compiler_params=_compiler_params(tile),
        interpret=interpret,
        name="flash_attention_forward",
    )(query, key, value, ids, bounds)
    out, log_sum = (checkpoint_name(x, "attention") for x in (out, log_sum))
    return out, (query, key, value, ids, out, log_sum)


def _attend_backward(causal, block_sizes, interpret, kept, d_out):
    query, key, value, ids, out, log_sum = kept
    delta = jnp.einsum("blhd,blhd->bhl", out, d_out, preferred_element_type=jnp.float32)
    inputs = (query, key, value, d_out, log_sum, delta, ids)
    d_query = _query_gradient(*inputs, causal, block_sizes.dq, interpret)
    d_key, d_value = _key_gradients(*inputs, causal, block_sizes.dkv, interpret)
    return d_query, d_key, d_value, None


_attend.defvjp(_attend_forward, _attend_backward)


def _query_gradient(query, key, value, d_out, log_sum, delta, ids, causal, tile, interpret):
    batch, length, heads, head_dim = query.shape
    group = heads // key.shape[2]
    bounds = _key_blocks(ids, causal, tile)
    return pl.pallas_call(
        partial(flash_attention_dq, tile=tile, head_dim=head_dim, causal=causal),
        grid=(length // tile.query, heads, batch),
        in_specs=(
            _block_spec(query, tile.query),
            _row_spec(key, group),
            _row_spec(value, group),
            _block_spec(d_out, tile.query),
            _statistic_spec(tile.query),
            _statistic_spec(tile.query),
            *_visibility_specs(ids, bounds),
        ),
        out_specs=_block_spec(query, tile.query),
        out_shape=jax.ShapeDtypeStruct(query.shape, query.dtype),
        compiler_params=_compiler_params(tile),
        interpret=interpret,
        name="flash_attention_dq",
    )(query, key, value, d_out, log_sum, delta, ids, bounds)


def _key_gradients(query, key, value, d_out, log_sum, delta, ids, causal, tile, interpret):
    batch, length, key_heads, head_dim = key.shape
    group = query.shape[2] // key_heads
    bounds = _query_blocks(ids, causal, tile)
    statistics = pl.BlockSpec((None, group, length), lambda i, h, b: (b, h, 0))
    return pl.pallas_call(
        partial(flash_attention_dkv, tile=tile, head_dim=head_dim, causal=causal),
        grid=(length // tile.key, key_heads, batch),
        in_specs=(
            _group_spec(query, group),
            _block_spec(key, tile.key),
            _block_spec(value, tile.key),
            _group_spec(d_out, group),
            statistics,
            statistics,
            *_visibility_specs(ids, bounds),
        ),
        out_specs=(_block_spec(key, tile.key), _block_spec(value, tile.key)),
        out_shape=(
            jax.ShapeDtypeStruct(key.shape, key.dtype),
            jax.ShapeDtypeStruct(value.shape, value.dtype),
        ),
        compiler_params=_compiler_params(tile),
        interpret=interpret,
        name="flash_attention_dkv",
    )(query, key, value, d_out, log_sum, delta, ids, bounds)


# The kernels. A program of the grid (block, head, row) sees its part of every array as a reference;
# Triton calls a kernel by the name of its function.


def flash_attention_forward(
    query_ref, key_ref, value_ref, ids, bounds, out_ref, log_sum_ref, *, tile, head_dim, causal
):
    """Output of a block of queries and the logarithms (base 2) of its softmax denominators."""
    query = _load(query_ref, head_dim)
    queries = _places(ids, pl.program_id(0), tile.query, axis=0)

    def visit(block, carry):
        out, peak, total = carry
        span = pl.ds(block * tile.key, tile.key)
        keys = _places(ids, block, tile.key, axis=1)
        scores = _scores(query, _load(key_ref.at[span], head_dim), head_dim)
        scores = jnp.where(_visible(queries, keys, causal), scores, _MASKED)
        new_peak = jnp.maximum(peak, scores.max(axis=1))
        shrink = jnp.exp2(peak - new_peak)
        weights = jnp.exp2(scores - new_peak[:, None])
        value = _load(value_ref.at[span], head_dim)
        out = out * shrink[:, None] + triton.dot(weights.astype(value.dtype), value)
        return out, new_peak, total * shrink + weights.sum(axis=1)

    start = (
        jnp.zeros(query.shape, jnp.float32),
        jnp.full(tile.query, _MASKED, jnp.float32),
        jnp.zeros(tile.query, jnp.float32),
    )
    out, peak, total = jax.lax.fori_loop(bounds.first[...], bounds.last[...], visit, start)
    _store(out_ref, out / total[:, None], head_dim)
    log_sum_ref[...] = peak + jnp.log2(total)


def flash_attention_dq(
    query_ref,
    key_ref,
    value_ref,
    d_out_ref,
    log_sum_ref,
    delta_ref,
    ids,
    bounds,
    d_query_ref,
    *,
    tile,
    head_dim,
    causal,
):
    """Gradient of a block of queries."""
    query, d_out = _load(query_ref, head_dim), _load(d_out_ref, head_dim)
    log_sum, delta = log_sum_ref[...][:, None], delta_ref[...][:, None]
    queries = _places(ids, pl.program_id(0), tile.query, axis=0)

    def visit(block, d_query):
        span = pl.ds(block * tile.key, tile.key)
        keys = _places(ids, block, tile.key, axis=1)
        key, value = _load(key_ref.at[span], head_dim), _load(value_ref.at[span], head_dim)
        scores = _scores(query, key, head_dim)
        weights = jnp.where(_visible(queries, keys, causal), jnp.exp2(scores - log_sum), 0.0)
        d_scores = weights * (triton.dot(d_out, value.T) - delta)
        return d_query + triton.dot(d_scores.astype(key.dtype), key)

    start = jnp.zeros(query.shape, jnp.float32)
    d_query = jax.lax.fori_loop(bounds.first[...], bounds.last[...], visit, start)
    _store(d_query_ref, d_query / math.sqrt(head_dim), head_dim)


def flash_attention_dkv(
    query_ref,
    key_ref,
    value_ref,
    d_out_ref,
    log_sum_ref,
    delta_ref,
    ids,
    bounds,
    d_key_ref,
    d_value_ref,
    *,
    tile,
    head_dim,
    causal,
):
    """Gradients of a block of keys and values, summed over the query heads of their group.

    Scores stand as [key, query] here, so that the weights need no transposition.
    """
    key, value = _load(key_ref, head_dim), _load(value_ref, head_dim)
    keys = _places(ids, pl.program_id(0), tile.key, axis=0)

    def of_head(head, gradients):
        def visit(block, carry):
            d_key, d_value = carry
            span = pl.ds(block * tile.query, tile.query)
            queries = _places(ids, block, tile.query, axis=1)
            query = _load(query_ref.at[span, head], head_dim)
            d_out = _load(d_out_ref.at[span, head], head_dim)
            log_sum, delta = log_sum_ref[head, span][None], delta_ref[head, span][None]
            scores = _scores(key, query, head_dim)
            weights = jnp.where(_visible(queries, keys, causal), jnp.exp2(scores - log_sum), 0.0)
            d_scores = weights * (triton.dot(value, d_out.T) - delta)
            d_value += triton.dot(weights.astype(d_out.dtype), d_out)
            d_key += triton.dot(d_scores.astype(query.dtype), query)
            return d_key, d_value

        return jax.lax.fori_loop(bounds.first[...], bounds.last[...], visit, gradients)

    start = (jnp.zeros(key.shape, jnp.float32), jnp.zeros(value.shape, jnp.float32))
    d_key, d_value = jax.lax.fori_loop(0, query_ref.shape[1], of_head, start)
    _store(d_key_ref, d_key / math.sqrt(head_dim), head_dim)
    _store(d_value_ref, d_value, head_dim)


# Inside the kernels.


class _Places(NamedTuple):
    """Where the places of a block stand in the row, and their ids, as a column or as a row."""

    order: jax.Array
    segments: jax.Array
    questions: jax.Array | None


def _places(ids: _Ids, block: jax.Array, size: int, axis: int) -> _Places:
    """The places of a block along `axis` of the scores."""
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
    """Scaled scores to base 2: the hardware's exponential is exp2."""
    return triton.dot(rows, columns.T) * (_LOG2_E / math.sqrt(head_dim))


def _load(ref, head_dim: int) -> jax.Array:
    """[places, head_dim], filled up with zeros to the power of two that Triton wants."""
    if ref.shape[-1] == head_dim:
        return ref[...]
    return triton.load(ref, mask=(jnp.arange(ref.shape[-1]) < head_dim)[None], other=0.0)


def _store(ref, x: jax.Array, head_dim: int) -> None:
    mask = None if ref.shape[-1] == head_dim else (jnp.arange(ref.shape[-1]) < head_dim)[None]
    triton.store(ref, x.astype(ref.dtype), mask=mask)


# What a program sees of an array; its place in the grid is (block i, head h, row b).


def _block_spec(x: jax.Array, size: int) -> pl.BlockSpec:
    """A block of `size` places of [B, L, heads, head_dim]."""
    shape = (None, size, None, pl.next_power_of_2(x.shape[-1]))
    return pl.BlockSpec(shape, lambda i, h, b: (b, i, h, 0))


def _row_spec(x: jax.Array, group: int) -> pl.BlockSpec:
    """All places of the key head [B, L, K, head_dim] that query head h belongs to."""
    shape = (None, x.shape[1], None, pl.next_power_of_2(x.shape[-1]))
    return pl.BlockSpec(shape, lambda i, h, b: (b, 0, h // group, 0))


def _group_spec(x: jax.Array, group: int) -> pl.BlockSpec:
    """All places of the query heads [B, L, H, head_dim] that belong to key head h."""
    shape = (None, x.shape[1], group, pl.next_power_of_2(x.shape[-1]))
    return pl.BlockSpec(shape, lambda i, h, b: (b, 0, h, 0))


def _statistic_spec(size: int) -> pl.BlockSpec:
    """A block of [B, H, L]."""
    return pl.BlockSpec((None, None, size), lambda i, h, b: (b, h, i))


def _visibility_specs(ids: _Ids, bounds: Bounds) -> tuple[_Ids, Bounds]:
    row = pl.BlockSpec((None, ids.segments.shape[1]), lambda i, h, b: (b, 0))
    own = pl.BlockSpec((None, None), lambda i, h, b: (b, i))
    return jax.tree.map(lambda _: row, ids), jax.tree.map(lambda _: own, bounds)


def _compiler_params(tile: Tile) -> triton.CompilerParams:
    return triton.CompilerParams(num_warps=tile.num_warps, num_stages=2)


def _key_blocks(ids: _Ids, causal: bool, tile: Tile) -> Bounds:
    """For each block of queries, the first and one past the last block of keys to visit."""
    return _blocks(key_bounds(ids.segments, causal=causal), tile.query, tile.key)


def _query_blocks(ids: _Ids, causal: bool, tile: Tile) -> Bounds:
    """For each block of keys, the first and one past the last block of queries to visit."""
    return _blocks(query_bounds(ids.segments, causal=causal), tile.key, tile.query)


def _blocks(bounds: Bounds, own: int, visited: int) -> Bounds:
    first = bounds.first.reshape(len(bounds.first), -1, own).min(axis=-1)
    last = bounds.last.reshape(len(bounds.last), -1, own).max(axis=-1)
    return Bounds(first // visited, last // visited + 1)
