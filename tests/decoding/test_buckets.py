from hypothesis import given
from hypothesis import strategies as st

from vlm3_jax.decoding.buckets import bucket


@given(st.integers(0, 10**6), st.sampled_from([1, 32, 64]))
def test_holds_the_size_and_wastes_little(size, smallest):
    padded = bucket(size, smallest)
    assert padded >= size and padded % smallest == 0
    assert padded <= max(size * 17 / 16 + 1, size + smallest)
    assert bucket(padded, smallest) == padded


def test_few_buckets():
    assert len({bucket(size, 32) for size in range(1024, 16384)}) <= 4 * 16 + 1
    assert [bucket(size, 32) for size in (0, 1, 32, 33, 1000, 1102)] == [32, 32, 32, 64, 1024, 1152]
