"""Attention under any mask, by XLA: the reference of the kernels, and what decoding uses."""

import jax


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
