import numpy as np
import pytest
from scipy import stats

from vlm3_jax.errors import BadInput
from vlm3_jax.evaluation.bootstrap import bootstrap_interval


def test_agrees_with_scipy_where_each_image_has_one_question(rng):
    values = rng.normal(3.0, 1.0, 200)
    expected = stats.bootstrap(
        (values,), np.mean, n_resamples=4000, method="percentile", rng=1
    ).confidence_interval
    got = bootstrap_interval(values, range(200), resamples=4000)
    np.testing.assert_allclose(got, [expected.low, expected.high], atol=0.02)


def test_questions_of_one_image_are_drawn_together(rng):
    # The ten questions of an image are equal: they say no more than one.
    by_image = rng.random(50)
    images = np.repeat(np.arange(50), 10).tolist()
    together = bootstrap_interval(np.repeat(by_image, 10), images)
    assert together == pytest.approx(bootstrap_interval(by_image, range(50)))
    apart = bootstrap_interval(np.repeat(by_image, 10), range(500))
    assert together[1] - together[0] > 2 * (apart[1] - apart[0])


def test_images_may_be_mixed_and_of_different_sizes():
    values, images = [1.0, 5.0, 1.0, 1.0], ["a", "b", "a", "a"]
    # The draws aa, ab (half of all) and bb have the means 1, 2 and 5.
    assert bootstrap_interval(values, images) == (1.0, 5.0)
    assert bootstrap_interval(values, images, level=0.2) == (2.0, 2.0)


def test_other_statistics_over_rows():
    rows = np.array([[1.0, 10.0], [2.0, 10.0], [3.0, 10.0]])
    ratio = bootstrap_interval(rows, "abc", lambda r: r[:, 0].sum() / r[:, 1].sum())
    assert ratio == (pytest.approx(0.1), pytest.approx(0.3))


def test_is_seeded(rng):
    values = rng.random(30)
    assert bootstrap_interval(values, range(30)) == bootstrap_interval(values, range(30))
    assert bootstrap_interval(values, range(30)) != bootstrap_interval(values, range(30), seed=1)


def test_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    hits = 0
    for trial in range(200):
        draws = np.repeat(rng.normal(0.0, 1.0, 40), 3)
        low, high = bootstrap_interval(
            draws, np.repeat(range(40), 3).tolist(), resamples=200, seed=trial
        )
        hits += low <= 0 <= high
    assert 0.88 <= hits / 200 <= 0.98


def test_refuses_nothing_and_unequal_lengths():
    with pytest.raises(BadInput, match="no answers"):
        bootstrap_interval([], [])
    with pytest.raises(ValueError, match="2 values of 1 images"):
        bootstrap_interval([1.0, 2.0], ["a"])
