"""Attention by blocks, in float32, against attention under the dense mask."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.models.kernel_rows import make_rows, worst_difference
from vlm3_jax.models.attention.blocks import block_attention


@pytest.mark.parametrize(
    ("causal", "questions", "heads", "key_heads"),
    [(True, 0, 4, 1), (True, 3, 4, 2), (False, 0, 2, 2)],
)
def test_output_and_gradients_are_the_reference(causal, questions, heads, key_heads):
    rows = make_rows(
        [[100, 150], [20, 200, 60]],
        300,
        heads=heads,
        key_heads=key_heads,
        head_dim=24,
        questions=questions,
    )
    kernel = partial(block_attention, block_size=64)
    differences = worst_difference(kernel, rows, causal=causal)
    assert max(differences.values()) < 1e-5, differences


def test_it_visits_only_what_a_block_of_queries_can_see():
    """Keys of another segment that are not finite change nothing where no block reaches them."""
    rows = make_rows([[128, 128, 44]], 320, heads=2, key_heads=1, head_dim=8)
    spoilt = rows.key.at[:, :128].set(jnp.nan), rows.value.at[:, :128].set(jnp.nan)
    attend = partial(
        block_attention, segment_ids=jnp.asarray(rows.segment_ids), causal=True, block_size=64
    )
    expected, found = attend(*rows[:3]), attend(rows.query, *spoilt)
    np.testing.assert_array_equal(found[:, 128:300], expected[:, 128:300])


def test_bfloat16_is_near_float32():
    rows = make_rows([[100, 150]], 300, heads=4, key_heads=2, head_dim=24)
    ids = jnp.asarray(rows.segment_ids)

    def results(dtype) -> list[np.ndarray]:
        def attend(query, key, value):
            return block_attention(query, key, value, ids, causal=True)

        out, backward = jax.vjp(jax.jit(attend), *(x.astype(dtype) for x in rows[:3]))
        found = [out * (ids > 0)[..., None, None], *backward(rows.gradient.astype(dtype))]
        assert {x.dtype for x in found} == {jnp.dtype(dtype)}
        return [np.asarray(x, np.float32) for x in found]

    for exact, rounded in zip(results(jnp.float32), results(jnp.bfloat16), strict=True):
        assert np.max(np.abs(rounded - exact)) < 0.03 * np.max(np.abs(exact))
