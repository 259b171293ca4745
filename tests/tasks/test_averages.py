import math
import sys

import pytest

from vlm3_jax.tasks.averages import mean, median, root_mean_square


def test_averages():
    assert mean([1, 2, 6]) == 3
    assert median([9, 1, 2, 4]) == 3
    assert root_mean_square([-3, 4]) == pytest.approx(math.sqrt(12.5))


@pytest.mark.parametrize("average", [mean, median, root_mean_square])
def test_nothing_has_no_average_and_absurd_numbers_stay_finite(average):
    assert average([]) is None
    assert average([math.inf, 1.7e308, 1.7e308]) <= sys.float_info.max


@pytest.mark.parametrize("count", [3, 10, 49])
def test_the_mean_of_ones_is_one(count):
    assert mean([True] * count) == 1.0
