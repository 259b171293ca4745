"""The GPU kernels, interpreted, against attention under the dense masks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vlm3_jax.models.attention.flash import BlockSizes, Tile, flash_attention
from vlm3_jax.models.attention.reference import attention
from vlm3_jax.models.attention.visibility import causal_mask, image_mask

BLOCKS = BlockSizes(forward=Tile(32, 16, 4), dq=Tile(16, 32, 4), dkv=Tile(64, 16, 4))
# Two rows of samples: the lengths of what is shared and of each question after it.
SAMPLES = (((30, 7, 12, 5), (9, 20), (41,)), ((70, 3, 3, 30), (25, 1)))
LENGTH = 150


def packed(samples) -> tuple[np.ndarray, np.ndarray]:
    """Segment and question ids of a row, padded to LENGTH."""
    segments = np.repeat(np.arange(len(samples)) + 1, [sum(parts) for parts in samples])
    questions = np.concatenate([np.repeat(np.arange(len(parts)), parts) for parts in samples])
    missing = LENGTH - len(segments)
    return tuple(np.pad(ids, (0, missing)).astype(np.int32) for ids in (segments, questions))


def ids(kind: str) -> tuple[np.ndarray, np.ndarray | None]:
    segments, questions = (np.stack(x) for x in zip(*map(packed, SAMPLES), strict=True))
    return segments, (questions if kind == "questions" else None)


def dense_mask(segments, questions, causal: bool):
    if not causal:
        return image_mask(segments)
    return causal_mask(segments, np.zeros_like(segments) if questions is None else questions)


def random_inputs(length: int, heads: int, key_heads: int, head_dim: int, seed: int = 0):
    """Query, key, value and the cotangent of the output, two rows."""
    rng = np.random.default_rng(seed)
    shapes = [(2, length, n, head_dim) for n in (heads, key_heads, key_heads, heads)]
    return [jnp.asarray(rng.standard_normal(shape), jnp.float32) for shape in shapes]


def output_and_gradients(function, query, key, value, cotangent):
    out, pullback = jax.vjp(function, query, key, value)
    return [out, *pullback(cotangent)]


@pytest.mark.parametrize("kind", ["questions", "causal", "images"])
@pytest.mark.parametrize(("heads", "key_heads", "head_dim"), [(4, 1, 128), (2, 2, 72), (4, 2, 64)])
def test_output_and_gradients_are_those_of_the_reference(kind, heads, key_heads, head_dim):
    causal = kind != "images"
    segments, questions = ids(kind)
    query, key, value, cotangent = random_inputs(LENGTH, heads, key_heads, head_dim)
    is_real = (segments != 0)[..., None, None]
    cotangent *= is_real
    mask = dense_mask(segments, questions, causal)

    def flash(query, key, value):
        return flash_attention(
            query,
            key,
            value,
            segments,
            questions,
            causal=causal,
            block_sizes=BLOCKS,
            interpret=True,
        )

    def reference(query, key, value):
        return attention(query, key, value, mask).reshape(query.shape)

    found = output_and_gradients(jax.jit(flash), query, key, value, cotangent)
    expected = output_and_gradients(jax.jit(reference), query, key, value, cotangent)
    for name, a, b in zip(("out", "dq", "dk", "dv"), found, expected, strict=True):
        assert np.isfinite(a).all(), name
        np.testing.assert_allclose(a * is_real, b * is_real, atol=2e-5, rtol=2e-5, err_msg=name)
