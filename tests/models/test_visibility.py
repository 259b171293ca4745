"""Bounds against the dense masks they stand for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlm3_jax.models.attention.visibility import (
    causal_mask,
    image_mask,
    key_bounds,
    query_bounds,
)


@settings(max_examples=50, deadline=None)
@given(sizes=st.lists(st.integers(1, 9), min_size=1, max_size=5), padding=st.integers(0, 6))
@pytest.mark.parametrize("causal", [True, False])
def test_bounds_are_the_first_and_last_visible_place(sizes, padding, causal):
    ids = np.concatenate([np.full(size, i + 1) for i, size in enumerate(sizes)])
    ids = np.pad(ids, (0, padding))[None].astype(np.int32)
    mask = causal_mask(ids, np.zeros_like(ids)) if causal else image_mask(ids)
    mask = np.array(mask[0]) & (ids[0] > 0)
    np.fill_diagonal(mask, True)

    for visible, bounds in (
        (mask, key_bounds(ids, causal=causal)),
        (mask.T, query_bounds(ids, causal=causal)),
    ):
        np.testing.assert_array_equal(bounds.first[0], visible.argmax(axis=1))
        np.testing.assert_array_equal(
            bounds.last[0], visible.shape[1] - 1 - visible[:, ::-1].argmax(axis=1)
        )
