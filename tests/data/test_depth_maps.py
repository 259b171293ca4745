import numpy as np
import pytest

from vlm3_jax.data.depth_maps import decode_depth, encode_depth
from vlm3_jax.errors import BadInput


def test_millimetres_where_they_fit(rng):
    depth = rng.uniform(0.3, 65.5, (30, 40)) * (rng.random((30, 40)) < 0.8)
    data, scale = encode_depth(depth)
    assert scale == 0.001
    np.testing.assert_allclose(decode_depth(data, scale), depth, atol=5.1e-4)


def test_far_depths_get_larger_steps_and_none_vanishes():
    depth = np.array([[0, 1e-4, 50.0, 1000.0]])
    data, scale = encode_depth(depth)
    assert scale == pytest.approx(1000 / 65535)
    decoded = decode_depth(data, scale)
    np.testing.assert_allclose(decoded, [[0, scale, 50, 1000]], atol=scale / 2 + 1e-6)
    assert ((decoded > 0) == (depth > 0)).all()


def test_other_bytes_are_refused():
    with pytest.raises(BadInput, match="does not decode"):
        decode_depth(b"no image", 0.001)
