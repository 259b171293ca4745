"""The GPU kernels, interpreted, against attention under the dense masks."""

from functools import partial

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
NAMES = ("out", "dq", "dk", "dv")


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

    flash = partial(
        flash_attention,
        segment_ids=segments,
        question_ids=questions,
        causal=causal,
        block_sizes=BLOCKS,
        interpret=True,
    )

    def reference(query, key, value):
        return attention(query, key, value, mask).reshape(query.shape)

    inputs = (query, key, value, cotangent)
    found = jax.jit(partial(output_and_gradients, flash))(*inputs)
    expected = jax.jit(partial(output_and_gradients, reference))(*inputs)
    for name, a, b in zip(NAMES, found, expected, strict=True):
        assert np.isfinite(a).all(), name
        np.testing.assert_allclose(a * is_real, b * is_real, atol=2e-5, rtol=2e-5, err_msg=name)


@pytest.mark.parametrize("causal", [True, False])
def test_blocks_out_of_sight_are_not_read(causal):
    length, half = 256, 128
    inputs = random_inputs(length, 2, 1, 64)
    segments = np.repeat([[1, 2]], half, axis=1).repeat(2, axis=0).astype(np.int32)
    flash = partial(
        flash_attention, segment_ids=segments, causal=causal, block_sizes=BLOCKS, interpret=True
    )
    run = jax.jit(partial(output_and_gradients, flash))
    for spoilt in (slice(None, half), slice(half, None)):
        rest = slice(half, None) if spoilt.start is None else slice(None, half)
        expected = run(*inputs)
        found = run(*(x.at[:, spoilt].set(jnp.nan) for x in inputs))
        for name, a, b in zip(NAMES, found, expected, strict=True):
            assert np.isnan(a[:, spoilt]).all(), name
            np.testing.assert_array_equal(a[:, rest], b[:, rest], err_msg=name)


@pytest.mark.parametrize("names", [("attention",), ()])
def test_a_checkpoint_can_keep_what_the_backward_pass_needs(names):
    query, key, value, _ = random_inputs(64, 2, 1, 64)
    segments = np.ones((2, 64), np.int32)

    @partial(jax.checkpoint, policy=jax.checkpoint_policies.save_only_these_names(*names))
    def layer(query, _):
        out = flash_attention(
            query, key, value, segments, causal=True, block_sizes=BLOCKS, interpret=True
        )
        return jnp.sin(out), None

    def layers(query):
        return jax.lax.scan(layer, query, length=3)[0].sum()

    program = jax.jit(jax.grad(layers)).lower(query).compile().as_text()
    assert "flash_attention_forward" in program
    assert ("rematted_computation/flash_attention_forward" in program) == (not names)


def test_bfloat16_follows_float32():
    segments, questions = ids("questions")
    inputs = random_inputs(LENGTH, 4, 2, 64)
    inputs[3] *= (segments != 0)[..., None, None]
    flash = partial(
        flash_attention,
        segment_ids=segments,
        question_ids=questions,
        causal=True,
        block_sizes=BLOCKS,
        interpret=True,
    )
    run = jax.jit(partial(output_and_gradients, flash))
    for name, a, b in zip(
        NAMES, run(*(x.astype(jnp.bfloat16) for x in inputs)), run(*inputs), strict=True
    ):
        assert a.dtype == jnp.bfloat16, name
        error = np.abs(a.astype(jnp.float32) - b).max() / np.abs(b).max()
        assert error < 0.02, name


def test_what_makes_no_sense_is_refused():
    segments = np.ones((2, 64), np.int32)
    query, key, value, _ = random_inputs(64, 3, 2, 64)
    with pytest.raises(ValueError, match="3 query heads for 2 key heads"):
        flash_attention(query, key, value, segments, causal=True)
    with pytest.raises(ValueError, match="without `causal`"):
        flash_attention(query, query, query, segments, segments, causal=False)
