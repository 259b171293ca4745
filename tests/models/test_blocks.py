"""Attention by blocks, in float32, against attention under the dense mask."""

from functools import partial

import pytest

from tests.models.kernel_rows import make_rows, worst_difference
from vlm3_jax.models.attention.blocks import block_attention


@pytest.mark.parametrize("max_segment", [None, 200])
@pytest.mark.parametrize(
    ("causal", "questions", "heads", "key_heads"),
    [(True, 0, 4, 1), (True, 3, 4, 2), (False, 0, 2, 2)],
)
def test_output_and_gradients_are_the_reference(causal, questions, heads, key_heads, max_segment):
    rows = make_rows(
        [[100, 150], [20, 200, 60]],
        300,
        heads=heads,
        key_heads=key_heads,
        head_dim=24,
        questions=questions,
    )
    kernel = partial(block_attention, block_size=64, max_segment=max_segment)
    differences = worst_difference(kernel, rows, causal=causal)
    assert max(differences.values()) < 1e-5, differences
