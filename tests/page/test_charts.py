import itertools

import numpy as np
import pytest

from tests.page.reading import Page
from vlm3_jax.page.charts import Axis, histogram, number, place, shares


def bars(chart: str) -> list[dict]:
    marks = [rect for rect in Page(chart).all("rect") if rect["class"] == "mark"]
    return [{name: float(rect[name]) for name in ("x", "y", "width", "height")} for rect in marks]


@pytest.mark.parametrize("log", [False, True])
def test_bars_are_as_high_as_their_counts(log):
    edges, counts = [1.0, 2.0, 4.0, 8.0], [10, 0, 30]
    drawn = bars(histogram(edges, counts, "t", "metres", "points", log))
    heights = np.array([bar["height"] for bar in drawn])
    np.testing.assert_allclose(heights / heights[2], [1 / 3, 0, 1], atol=1e-3)
    widths = np.array([bar["width"] for bar in drawn])
    np.testing.assert_allclose(widths / widths[0], [1, 1, 1] if log else [1, 2, 4], rtol=0.03)
    bottoms = [bar["y"] + bar["height"] for bar in drawn]
    np.testing.assert_allclose(bottoms, bottoms[0], atol=0.02)


def test_a_histogram_says_what_it_shows():
    page = Page(histogram([1, 10, 100], [1, 3], "Depth", "depth, m", "points", log=True))
    (label,) = [svg["aria-label"] for svg in page.all("svg")]
    assert label == ("Depth. 4 points from 1 to 100 (depth, m); most, 75%, between 10 and 100.")
    assert "10 to 100: 3 points, 75.0%" in page.text and "share of 4 points" in page.text


@pytest.mark.parametrize(
    ("axis", "texts"),
    [
        (Axis("", 0, 1), ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
        (Axis("", 0, 0.21, percent=True), ["0%", "5%", "10%", "15%", "20%"]),
        (Axis("", 0.3, 30, log=True), ["0.5", "1", "2", "5", "10", "20"]),
        (Axis("", 0.01, 1000, log=True), ["0.01", "0.1", "1", "10", "100", "1,000"]),
        (Axis("", 500, 600, log=True), ["500", "520", "540", "560", "580", "600"]),
    ],
)
def test_ticks_are_round(axis, texts):
    assert [text for _, text in axis.ticks()] == texts
    assert all(-1e-9 <= axis.at(value) <= 1 + 1e-9 for value, _ in axis.ticks())


def test_tick_texts_do_not_touch():
    chart = Page(histogram([0.001, 900], [5], "", "", "", log=True))
    ends = [float(text["x"]) for text in chart.all("text") if text.get("text-anchor") == "middle"]
    assert all(right - left >= 30 for left, right in itertools.pairwise(ends[:-1]))


def test_points_are_placed_between_the_axes():
    x, y = Axis("", 1, 100, log=True), Axis("", 0, 4)
    left, bottom = place(x, y, (1, 0))
    right, top = place(x, y, (100, 4))
    assert place(x, y, (10, 1)) == (
        pytest.approx((left + right) / 2),
        pytest.approx(bottom + (top - bottom) / 4),
    )


def test_shares_are_sorted_and_the_rest_is_counted():
    values = {f"kind {i}": i for i in range(1, 6)}
    page = Page(shares(values, "Kinds", most=2))
    assert page.text == "Kinds kind 5 5 (33.3%) kind 4 4 (26.7%) 3 others 6 (40.0%)"
    widths = [span["style"] for span in page.all("span")]
    assert widths == ["width: 100.0%", "width: 80.0%", "width: 100.0%"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (1234.5, "1,234"), (12.345, "12.3"), (0.05, "0.05"), (3, "3"), (2.5e7, "2.5e+07")],
)
def test_numbers(value, text):
    assert number(value) == text
