import numpy as np
import pytest

from tfds_builders.inspection.tally import PERCENTILES, Tally


@pytest.mark.parametrize("pieces", [1, 7])
def test_figures_are_numpys(rng, pieces):
    values = np.exp(rng.normal(1, 2, 5000))
    tally = Tally()
    for piece in np.array_split(values, pieces):
        tally.add(piece)
    figures = tally.to_dict()
    assert figures["count"] == 5000 and figures["zeros"] == 0
    assert figures["min"] == values.min() and figures["max"] == values.max()
    assert figures["mean"] == pytest.approx(values.mean())
    for name, percent in PERCENTILES.items():
        truth = np.percentile(values, percent, method="inverted_cdf")
        assert figures[name] == pytest.approx(truth, rel=0.003)
    assert tally.share_over(10) == pytest.approx((values > 10).mean(), abs=0.005)


def test_histograms_are_numpys(rng):
    values = rng.uniform(0, 180, 3000)
    tally = Tally(0, 180, log=False)
    tally.add(values)
    figures = tally.to_dict()["histogram"]
    counts, _ = np.histogram(values, figures["edges"])
    assert figures["counts"] == counts.tolist() and 36 <= len(counts) <= 40


def test_zeros_count_among_values_that_are_drawn_by_their_logarithm():
    tally = Tally()
    tally.add([0, 0, 0, 5.0])
    figures = tally.to_dict()
    assert (figures["zeros"], figures["min"], figures["median"], figures["p99"]) == (3, 0, 0, 5)
    assert sum(figures["histogram"]["counts"]) == 1


def test_one_value_is_exact():
    tally = Tally()
    tally.add(np.full(9, 560.25))
    figures = tally.to_dict()
    assert {figures[name] for name in ("min", "p1", "median", "p99", "max", "mean")} == {560.25}
    assert tally.densest()[1] == 1.0


def test_whole_numbers_have_no_empty_bins_between_them():
    tally = Tally(whole=True)
    tally.add(np.repeat(np.arange(1, 201), 3))
    figures = tally.to_dict()
    assert figures["median"] == 100 and min(figures["histogram"]["counts"]) >= 3
    assert sum(figures["histogram"]["counts"]) == 600


def test_nothing():
    tally = Tally()
    tally.add([])
    assert tally.to_dict() == {"count": 0}


def test_values_beyond_the_bins_are_in_the_last_ones():
    tally = Tally(0, 1, log=False)
    tally.add([-3.0, 0.5, 7.0])
    figures = tally.to_dict()
    assert (figures["min"], figures["max"]) == (-3, 7)
    assert sum(figures["histogram"]["counts"]) == 3
