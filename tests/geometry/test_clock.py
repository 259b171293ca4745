import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm3_jax.geometry.clock import clock_hour


@pytest.mark.parametrize(
    ("right", "forward", "hour"),
    # datasets.md section 9.
    [(0, 1, 12), (1, 1, 2), (1, 0, 3), (0, -1, 6), (-1, 0, 9), (-1, 1, 11)],
)
def test_golden_values(right, forward, hour):
    assert clock_hour(right, forward) == hour


def test_hours_are_cut():
    hours = [clock_hour(math.sin(math.radians(a)), math.cos(math.radians(a))) for a in (-29, 1, 31)]
    assert hours == [12, 1, 2]


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_is_an_hour_whatever_the_direction(right, forward):
    assert clock_hour(right, forward) in range(1, 13)
    assert clock_hour(-1e-20, 1.0) == 12
