"""The TPU kernel in interpret mode, in float32, against attention under the dense mask."""

from functools import partial

import jax.numpy as jnp
import numpy as np
import pytest

from tests.models.kernel_rows import make_rows, worst_difference
from vlm3_jax.models.attention.splash import splash_attention

SEGMENTS = [[100, 150], [20, 200, 60]]
kernel = partial(splash_attention, block_size=128, interpret=True)


@pytest.mark.parametrize(
    ("causal", "questions", "heads", "key_heads", "head_dim"),
    [
        (True, 0, 4, 1, 128),
        (True, 3, 4, 2, 128),
        (False, 0, 2, 2, 64),
        (False, 0, 2, 2, 72),
    ],
)
def test_output_and_gradients_are_the_reference(causal, questions, heads, key_heads, head_dim):
    rows = make_rows(
        SEGMENTS, 300, heads=heads, key_heads=key_heads, head_dim=head_dim, questions=questions
    )
    # 200 is the longest segment, so blocks are left out too.
    differences = worst_difference(partial(kernel, max_segment=200), rows, causal=causal)
    assert max(differences.values()) < 1e-5, differences


def test_blocks_out_of_reach_are_not_computed():
    """Keys that nothing near sees may hold anything: their blocks are never read."""
    rows = make_rows([[256, 256, 256]], 768, heads=1, key_heads=1, head_dim=64)
    clean = kernel(*rows[:3], rows.segment_ids, causal=False, max_segment=256)
    spoiled = (x.at[:, 512:].set(jnp.nan) for x in (rows.key, rows.value))
    found = kernel(rows.query, *spoiled, rows.segment_ids, causal=False, max_segment=256)
    np.testing.assert_array_equal(found[:, :512], clean[:, :512])
    assert jnp.isnan(found[:, 512:]).all()


def test_rows_of_padding_are_finite():
    rows = make_rows([[], [130]], 256, heads=2, key_heads=1, head_dim=64, questions=2)
    out = kernel(*rows[:3], rows.segment_ids, rows.question_ids, causal=True)
    assert jnp.isfinite(out).all()
