"""Attention and who may see whom."""

import jax
import jax.numpy as jnp


def attention(query: jax.Array, key: jax.Array, value: jax.Array, mask: jax.Array) -> jax.Array:
    """Scaled dot-product attention with grouped key heads, softmax in float32.

    Args:
        query: [B, L, H, head_dim].
        key: [B, S, K, head_dim], H a multiple of K.
        value: [B, S, K, head_dim].
        mask: bool [B, L, S], true where a query sees a key. A query that sees nothing (padding)
            gets finite, meaningless values.

    Returns:
        [B, L, H * head_dim].
    """
    out = jax.nn.dot_product_attention(query, key, value, mask=mask[:, None])
    return out.reshape(*out.shape[:2], -1)


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
