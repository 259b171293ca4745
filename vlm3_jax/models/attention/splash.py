"""Attention of packed rows on TPUs: JAX's splash kernels, told at run time which blocks matter.

Splash leaves out blocks by tables that are usually made of a fixed mask. Here they are made from
the rows' segment ids on the device, so a row of many samples costs what its samples cost. The rows
of a device are laid end to end as one sequence, so one kernel call serves them all.

Splash compares one id a query with one id a key, which cannot say "the shared part, and my own
question". Rows with questions therefore take two passes, one over the shared keys and one within
each question, merged by their log-sum-exp; the backward pass of each uses the merged one.
"""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name
from jax.experimental.pallas.ops.tpu.splash_attention import splash_attention_kernel as splash
from jax.experimental.pallas.ops.tpu.splash_attention.splash_attention_mask_info import MaskInfo

from vlm3_jax.models.attention import SAVED
from vlm3_jax.models.attention.visibility import Bounds, key_bounds, query_bounds

BLOCK_SIZE = 1024
"""Queries, and keys, of a block. Blocks that are left out still cost a step of the grid, some
0.3 us, so small blocks do not pay."""
LANES = 128
"""Block sizes are multiples of this."""


class Pass(NamedTuple):
    """One run of the kernels over a sequence of N places."""

    ids: splash.SegmentIds
    """int32 [N] of queries and of keys: equal ones see each other, within `causal`."""
    keys: MaskInfo
    """Blocks of keys that each block of queries visits."""
    queries: MaskInfo
    """Blocks of queries that each block of keys visits."""


class Tiling(NamedTuple):
    """What the kernels are compiled for."""

    block: int
    """Queries, and keys, of a block."""
    max_segment: int
    """No segment is longer."""
    causal: bool
    interpret: bool


def splash_attention(
    query: jax.Array,
    key: jax.Array,
    value: jax.Array,
    segment_ids: jax.Array,
    question_ids: jax.Array | None = None,
    *,
    causal: bool,
    max_segment: int | None = None,
    block_size: int = BLOCK_SIZE,
    interpret: bool = False,
) -> jax.Array:
    """Attention within segments, softmax in float32, scaled by 1 / sqrt(head_dim).

    Args:
        query: [B, L, H, head_dim].
        key: [B, L, K, head_dim], H a multiple of K.
        value: [B, L, K, head_dim].
        segment_ids: int32 [B, L]; equal ids lie side by side, 0 is padding.
        question_ids: int32 [B, L] as in `TextInputs`; None where all keys are shared.
        causal: whether a query sees only what comes before it in its row.
        max_segment: no segment is longer (L if None); what a longer one has beyond is not seen.
        block_size: queries, and keys, of a block; a multiple of 128.
        interpret: runs without a TPU, slowly.

    Returns:
        [B, L, H, head_dim]; padding gets finite, meaningless values.
    """
    batch, length, _, head_dim = query.shape
    places = batch * length
    block = min(block_size, _round_up(places, LANES))
    tiling = Tiling(block, min(max_segment or length, length), causal, interpret)
    padding = _round_up(places, block) - places

    def lay_out(x: jax.Array) -> jax.Array:
        """[B, L, H, head_dim] -> [H, N, head_dim]."""
        x = jnp.swapaxes(x.reshape(places, *x.shape[2:]), 0, 1)
        return jnp.pad(x, ((0, 0), (0, padding), (0, 0)))

    query = (query.astype(jnp.float32) * head_dim**-0.5).astype(query.dtype)
    samples = _runs(segment_ids, padding)
    if question_ids is None:
        passes = [_make_pass(samples, samples, samples, tiling)]
    else:
        of_samples = jnp.pad(question_ids.reshape(-1), (0, padding))
        shared = jnp.where(of_samples == 0, samples, -1)
        of_questions = jnp.where(question_ids > 0, question_ids + segment_ids * length, 0)
        questions = _runs(of_questions, padding)
        own = jnp.where(questions > 0, questions, -1)
        passes = [
            _make_pass(samples, samples, shared, tiling),
            _make_pass(questions, questions, own, tiling),
        ]
    out = _attend(lay_out(query), lay_out(key), lay_out(value), passes, tiling)
    return jnp.swapaxes(out, 0, 1)[:places].reshape(query.shape)


def _runs(ids: jax.Array, padding: int) -> jax.Array:
    """Numbers the runs of equal ids of rows [B, L] that are laid end to end: int32 [N].

    0 stays 0, and is what is padded.
    """
    starts = jnp.concatenate([jnp.ones_like(ids[:, :1], bool), ids[:, 1:] != ids[:, :-1]], axis=1)
    runs = jnp.where(ids.reshape(-1) > 0, jnp.cumsum(starts.reshape(-1)), 0)
    return jnp.pad(runs.astype(jnp.int32), (0, padding))


def _make_pass(runs: jax.Array, query_ids: jax.Array, key_ids: jax.Array, tiling: Tiling) -> Pass:
    places = jnp.arange(len(runs), dtype=jnp.int32) if tiling.causal else None

    def tables(bounds: Bounds) -> tuple[jax.Array, jax.Array]:
        return _tables(Bounds(bounds.first[0], bounds.last[0]), tiling)

    def mask_info(next_block: jax.Array, runs_block: jax.Array) -> MaskInfo:
        return MaskInfo(next_block[None], None, runs_block[None], None, places)

    keys = tables(key_bounds(runs[None], causal=tiling.causal))
    queries = tables(query_bounds(runs[None], causal=tiling.causal))
    return Pass(
        splash.SegmentIds(query_ids, key_ids),
        keys=mask_info(*keys),
        queries=mask_info(*(table.T for table in queries)),
    )


def _tables(bounds: Bounds, tiling: Tiling) -> tuple[jax.Array, jax.Array]:
    """The blocks that each of N / block blocks visits in turn, and whether a visit does anything.

    Returns:
        int32 [N / block, W], twice. Past the last block the table stays on it, so that nothing
        more is fetched.
    """
    first = jnp.min(bounds.first.reshape(-1, tiling.block), axis=1, keepdims=True) // tiling.block
    last = jnp.max(bounds.last.reshape(-1, tiling.block), axis=1, keepdims=True) // tiling.block
    sides = 1 if tiling.causal else 2
    span = tiling.block + sides * (tiling.max_segment - 1)
    # `span` places that may start anywhere touch so many blocks.
    width = min(len(first), (span + tiling.block - 2) // tiling.block + 1)
    visited = first + jnp.arange(width, dtype=jnp.int32)
    return jnp.minimum(visited, last), (visited <= last).astype(jnp.int32)


@partial(jax.custom_vjp, nondiff_argnames=("tiling",))
def _attend(
    query: jax.Array, key: jax.Array, value: jax.Array, passes: Sequence[Pass], tiling: Tiling
) -> jax.Array:
    """[H, N, head_dim] from [H, N, head_dim] (scaled) and [K, N, head_dim]."""
    return _attend_forward(query, key, value, passes, tiling)[0]


def _attend_forward(
    query: jax.Array, key: jax.Array, value: jax.Array, passes: Sequence[Pass], tiling: Tiling
) -> tuple[jax.Array, tuple]:
    out, log_sum = _forward_kernel(query, key, value, passes[0], tiling)
    for another in passes[1:]:
        out, log_sum = _merge((out, log_sum), _forward_kernel(query, key, value, another, tiling))
    out, log_sum = checkpoint_name(out, SAVED), checkpoint_name(log_sum, SAVED)
    return out, (query, key, value, passes, out, log_sum)


def _attend_backward(tiling: Tiling, saved: tuple, gradient: jax.Array) -> tuple:
    query, key, value, passes, out, log_sum = saved
    delta = jnp.einsum("hnd,hnd->hn", out, gradient, preferred_element_type=jnp.float32)
    parts = [
        _backward_kernels(query, key, value, one, log_sum, gradient, delta, tiling)
        for one in passes
    ]
    return (*jax.tree.map(lambda *part: sum(part[1:], part[0]), *parts), None)


_attend.defvjp(_attend_forward, _attend_backward)


def _merge(
    one: tuple[jax.Array, jax.Array], other: tuple[jax.Array, jax.Array]
) -> tuple[jax.Array, jax.Array]:
    """Attention over two sets of keys together, from that over each and its log-sum-exp."""
    log_sum = jnp.logaddexp(one[1], other[1])
    weighted = [
        out.astype(jnp.float32) * jnp.exp(part - log_sum)[..., None] for out, part in (one, other)
    ]
    return (weighted[0] + weighted[1]).astype(one[0].dtype), log_sum


def _forward_kernel(
    query: jax.Array, key: jax.Array, value: jax.Array, one: Pass, tiling: Tiling
) -> tuple[jax.Array, jax.Array]:
    out, (log_sum,) = splash._splash_attention_forward(
        one.keys,
        query,
        key,
        value,
        one.ids,
        sinks=None,
        block_sizes=splash.BlockSizes(tiling.block, tiling.block),
        residual_checkpoint_name=None,
        save_residuals=True,
        **_common(tiling),
    )
    return out, log_sum


def _backward_kernels(
    query: jax.Array,
    key: jax.Array,
    value: jax.Array,
    one: Pass,
    log_sum: jax.Array,
    gradient: jax.Array,
    delta: jax.Array,
    tiling: Tiling,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Gradients of query, key and value."""
    arrays = (query, key, value, one.ids, None, log_sum, gradient, delta)
    layout = splash.QKVLayout.HEAD_DIM_MINOR
    common = {
        "bq": tiling.block,
        "bkv": tiling.block,
        "q_layout": layout,
        "k_layout": layout,
        "v_layout": layout,
        **_common(tiling),
    }
    query_gradient = splash._splash_attention_bwd_dq(*arrays, mask_info=one.keys, **common)
    _, key_gradient, value_gradient = splash._splash_attention_bwd_dkv(
        *arrays,
        mask_info=one.queries,
        bkv_compute=tiling.block,
        use_fused_bwd_kernel=False,
        **common,
    )
    return query_gradient, key_gradient, value_gradient


def _common(tiling: Tiling) -> dict:
    return {
        "mask_value": splash.DEFAULT_MASK_VALUE,
        "is_mqa": False,
        "mask_function": _not_after if tiling.causal else None,
        "attn_logits_soft_cap": None,
        "interpret": tiling.interpret,
    }


def _not_after(query_places: jax.Array, key_places: jax.Array) -> jax.Array:
    return query_places >= key_places


def _round_up(count: int, multiple: int) -> int:
    return -(-count // multiple) * multiple
