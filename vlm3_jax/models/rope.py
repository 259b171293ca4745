"""Rotary position embeddings, computed in float32."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np


def axial_angles(positions: jax.Array, head_dim: int, theta: float) -> jax.Array:
    """Angles of the vision tower: half of them turn with the row, half with the column.

    Args:
        positions: int [..., 2], row and column of a patch.
        head_dim: size of a head.
        theta: base of the frequencies.

    Returns:
        float32 [..., head_dim / 2].
    """
    frequencies = _frequencies(head_dim // 2, theta)
    angles = positions[..., None].astype(jnp.float32) * frequencies
    return angles.reshape(*positions.shape[:-1], head_dim // 2)


def mrope_angles(
    positions: jax.Array, head_dim: int, theta: float, sections: Sequence[int]
) -> jax.Array:
    """Angles of interleaved M-RoPE: frequencies turn with time, height, width in alternation.

    Args:
        positions: int [..., 3]: time, height, width.
        head_dim: size of a head.
        theta: base of the frequencies.
        sections: how many frequencies each axis takes; height and width take every third one from
            the first and the second on, time has the rest.

    Returns:
        float32 [..., head_dim / 2].
    """
    axis = np.zeros(head_dim // 2, np.int32)
    for a in (1, 2):
        axis[a : 3 * sections[a] : 3] = a
    return positions[..., axis].astype(jnp.float32) * _frequencies(head_dim, theta)


def rotate(x: jax.Array, angles: jax.Array) -> jax.Array:
    """Rotates the two halves of every head against each other.

    Args:
        x: [B, L, heads, head_dim].
        angles: float32 [B, L, head_dim / 2].

    Returns:
        Like `x`.
    """
    cos, sin = jnp.cos(angles)[:, :, None], jnp.sin(angles)[:, :, None]
    first, second = jnp.split(x.astype(jnp.float32), 2, axis=-1)
    rotated = jnp.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)
    return rotated.astype(x.dtype)


def _frequencies(dim: int, theta: float) -> np.ndarray:
    exponents = np.arange(0, dim, 2, dtype=np.float32) / np.float32(dim)
    return (1.0 / np.float32(theta) ** exponents).astype(np.float32)
