"""Attention of packed rows by XLA alone: one head and one block of queries at a time.

For CPUs, where XLA computes plain matrix products several times faster than batched ones. A block
meets only the keys within reach of it, and no mask or score of a whole row ever exists.
"""

from functools import partial

import jax
import jax.numpy as jnp

BLOCK_SIZE = 128
"""Queries at a time."""
_MASKED = -1e30


def block_attention(
    query: jax.Array,
    key: jax.Array,
    value: jax.Array,
    segment_ids: jax.Array,
    question_ids: jax.Array | None = None,
    *,
    causal: bool,
    max_segment: int | None = None,
    block_size: int = BLOCK_SIZE,
) -> jax.Array:
    """Attention within segments, softmax in float32, scaled by 1 / sqrt(head_dim).

    The backward pass computes the weights again.

    Args:
        query: [B, L, H, head_dim].
        key: [B, L, K, head_dim], H a multiple of K.
        value: [B, L, K, head_dim].
        segment_ids: int32 [B, L]; equal ids lie side by side, 0 is padding.
        question_ids: int32 [B, L] as in `TextInputs`; None where all keys are shared.
        causal: whether a query sees only what comes before it in its row.
        max_segment: no segment is longer (L if None); what a longer one has beyond is not seen.
        block_size: queries at a time.

    Returns:
        [B, L, H, head_dim]; padding gets finite, meaningless values.
    """
    batch, length, heads, head_dim = query.shape
    group = heads // key.shape[2]
    block = min(block_size, length)
    reach = min(max_segment or length, length) - 1
    padding = -length % block
    window = min(length + padding, block + (reach if causal else 2 * reach))
    if question_ids is None:
        question_ids = jnp.zeros_like(segment_ids)

    def by_head(x: jax.Array) -> jax.Array:
        """[B, L, H, head_dim] -> [B * H, L, head_dim]."""
        x = jnp.pad(x, ((0, 0), (0, padding), (0, 0), (0, 0)))
        return jnp.swapaxes(x, 1, 2).reshape(-1, length + padding, head_dim)

    def by_row(ids: jax.Array) -> jax.Array:
        return jnp.repeat(jnp.pad(ids, ((0, 0), (0, padding))), heads, axis=0)

    def one_head(_: None, arrays: tuple[jax.Array, ...]) -> tuple[None, jax.Array]:
        query, key, value, segments, questions = arrays

        @partial(jax.checkpoint, prevent_cse=False)
        def one_block(_: None, start: jax.Array) -> tuple[None, jax.Array]:
            first = jnp.clip(start - reach, 0, length + padding - window)
            rows = partial(jax.lax.dynamic_slice_in_dim, start_index=start, slice_size=block)
            columns = partial(jax.lax.dynamic_slice_in_dim, start_index=first, slice_size=window)
            visible = rows(segments)[:, None] == columns(segments)[None]
            if causal:
                order = (start + jnp.arange(block))[:, None] >= (first + jnp.arange(window))[None]
                same = rows(questions)[:, None] == columns(questions)[None]
                visible &= order & (same | (columns(questions) == 0)[None])
            scores = jnp.matmul(rows(query), columns(key).T, preferred_element_type=jnp.float32) * (
                head_dim**-0.5
            )
            weights = jax.nn.softmax(jnp.where(visible, scores, _MASKED), axis=-1)
            return None, weights.astype(value.dtype) @ columns(value)

        starts = jnp.arange(0, length + padding, block)
        return None, jax.lax.scan(one_block, None, starts)[1].reshape(-1, head_dim)

    arrays = (
        by_head(query),
        by_head(jnp.repeat(key, group, axis=2)),
        by_head(jnp.repeat(value, group, axis=2)),
        by_row(segment_ids),
        by_row(question_ids),
    )
    out = jax.lax.scan(one_head, None, arrays)[1]
    out = out.reshape(batch, heads, length + padding, head_dim)[:, :, :length]
    return jnp.swapaxes(out, 1, 2)
