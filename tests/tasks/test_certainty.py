import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm3_jax.tasks import depth
from vlm3_jax.tasks.certainty import Certainty, most_within, read_certainty, shortest_range

FACTOR = 1.25


@st.composite
def distributions(draw) -> tuple[np.ndarray, np.ndarray]:
    """Values as answers have them, some negative, with probabilities that may not be all."""
    cents = draw(st.lists(st.integers(-50, 1000), max_size=12))
    weights = draw(st.lists(st.integers(0, 20), min_size=len(cents), max_size=len(cents)))
    missing = draw(st.integers(0, 20))
    values = np.array(cents, np.float64) / 100
    return values, np.array(weights, np.float64) / max(sum(weights) + missing, 1)


def mass_near(number: float, values: np.ndarray, probabilities: np.ndarray) -> float:
    return sum(
        probability
        for value, probability in zip(values, probabilities, strict=True)
        if value > 0 and max(value / number, number / value) < FACTOR
    )


@given(distributions())
def test_no_number_has_more_probability_within_the_factor(distribution):
    values, probabilities = distribution
    likely, confidence = most_within(values, probabilities, FACTOR)
    if likely is None:
        assert confidence == 0 == sum(probabilities[values > 0])
        return
    assert mass_near(likely, values, probabilities) == pytest.approx(confidence, abs=1e-12)
    positive = values[values > 0]
    # The mass changes only where a value comes or goes: between these all have been tried.
    edges = np.sort(np.concatenate([positive * FACTOR, positive / FACTOR]))
    tried = np.concatenate([positive, np.sqrt(edges[1:] * edges[:-1])])
    most = max(mass_near(number, values, probabilities) for number in tried)
    assert most == pytest.approx(confidence, abs=1e-12)


@given(distributions(), st.sampled_from([0.5, 0.8, 1.0]))
def test_no_shorter_range_holds_the_share(distribution, share):
    values, probabilities = distribution
    ranges = [
        (high - low, low, high)
        for low in values
        for high in values[values >= low]
        if probabilities[(values >= low) & (values <= high)].sum() >= share - 1e-12
    ]
    expected = min(ranges)[1:] if ranges else (None, None)
    assert shortest_range(values, probabilities, share) == pytest.approx(expected)


def test_the_likely_value_is_in_the_middle_of_the_mass():
    values, probabilities = np.array([2.0, 2.1, 2.2, 3.0]), np.array([0.1, 0.5, 0.2, 0.1])
    # 2.0 and 3.0 are both alike only to numbers between 2.4 and 2.5.
    likely, confidence = most_within(values, probabilities, FACTOR)
    assert likely == pytest.approx(2.4) and likely > 2.4
    assert confidence == pytest.approx(0.9)
    assert most_within(values[:3], probabilities[:3], FACTOR)[0] == 2.1


def test_nothing_is_certain_of_nothing():
    nothing = read_certainty(np.array([]), np.array([]), FACTOR)
    assert nothing == Certainty(None, 0.0, None, None, unexplained=1.0)
    behind = depth.certainty(np.array([-1.0]), np.array([0.5]))
    assert behind == Certainty(None, 0.0, None, None, unexplained=0.5)


def test_exactly_the_factor_is_not_alike():
    assert most_within(np.array([1.0, 1.5625]), np.array([0.5, 0.5]), FACTOR)[1] == 0.5
    assert most_within(np.array([1.0, 1.5624]), np.array([0.5, 0.5]), FACTOR)[1] == 1.0
