import numpy as np
import pytest

from tests.page.reading import Page
from vlm3_jax.page.charts import Axis, place
from vlm3_jax.page.plots import MOST_POINTS, Points, bars, curves, limits, scatter

LOG = Axis("true, m", 1, 100, log=True)
UP = Axis("said, m", 1, 100, log=True)


def circles(page: Page, kind: str) -> list[tuple[float, float]]:
    return [(float(c["cx"]), float(c["cy"])) for c in page.all("circle") if c["class"] == kind]


def test_points_lie_where_their_values_are():
    right, wrong = np.array([[2.0, 2.0], [50.0, 40.0]]), np.array([[3.0, 30.0]])
    groups = [Points("right", right), Points("wrong", wrong, hollow=True)]
    page = Page(scatter(LOG, UP, groups, "Title", band=1.25))
    assert circles(page, "disc") == [pytest.approx(place(LOG, UP, tuple(xy))) for xy in right]
    assert circles(page, "ring") == [pytest.approx(place(LOG, UP, tuple(xy))) for xy in wrong]
    assert "● right (2)" in page.text and "○ wrong (1)" in page.text
    assert "drawn" not in page.text


def test_the_band_is_where_the_ratio_is_within_its_factor():
    page = Page(scatter(LOG, UP, [Points("", np.array([[2.0, 2.0]]))], "", band=2.0))
    (polygon,) = page.all("polygon")
    corners = {tuple(map(float, pair.split(","))) for pair in polygon["points"].split()}
    ends = [(1, 1), (2, 1), (100, 50), (100, 100), (50, 100), (1, 2)]
    assert corners == {place(LOG, UP, end) for end in ends}


def test_points_beyond_the_axes_are_drawn_at_their_ends_and_counted():
    far = np.array([[10.0, 1e300], [10.0, 1e-9], [10.0, 20.0]])
    page = Page(scatter(LOG, UP, [Points("", far)], ""))
    ends = [place(LOG, UP, (10, y)) for y in (100, 1, 20)]
    assert circles(page, "disc") == [pytest.approx(end) for end in ends]
    assert "2 beyond the axes" in page.text


def test_of_many_points_some_are_drawn_and_that_is_said():
    xy = np.random.default_rng(0).uniform(1, 100, (3 * MOST_POINTS, 2))
    groups = [Points("a", xy[:MOST_POINTS]), Points("b", xy[MOST_POINTS:], hollow=True)]
    page = Page(scatter(LOG, UP, groups, ""))
    drawn = len(circles(page, "disc")), len(circles(page, "ring"))
    assert sum(drawn) == MOST_POINTS and 0.25 < drawn[0] / MOST_POINTS < 0.42
    assert "400 of 1,200 drawn, at random" in page.text


@pytest.mark.parametrize("values", [[3.0], [2.0, 2.0], [0.1, 50.0]])
@pytest.mark.parametrize("log", [True, False])
def test_limits_leave_room(values, log):
    low, high = limits(np.array(values), log)
    assert low < min(values) and high > max(values) and (low > 0 or not log)
    assert Axis("", low, high, log).ticks()


def test_curves_are_told_apart_without_colours():
    x, y = Axis("limit", 0, 10), Axis("share", 0, 1, percent=True)
    page = Page(curves(x, [("a", [(0, 0), (10, 1)]), ("b", [(0, 0), (10, 0.5)])], y, "Title"))
    assert [line["class"] for line in page.all("polyline")] == ["curve", "curve dashed"]
    assert "solid: a" in page.text and "dashed: b" in page.text
    (svg,) = page.all("svg")
    assert svg["aria-label"] == "Title. a ends at 1; b ends at 0.5."


def test_bars_are_as_long_as_their_figures():
    rows = [("half", 0.5, "50%"), ("none", None, "-"), ("more than all", 1.5, "150%")]
    page = Page(bars(rows, 1, "Title", "A note."))
    widths = [span["style"] for span in page.all("span")]
    assert widths == ["width: 50.0%", "width: 0.0%", "width: 100.0%"]
    assert page.text == "Title half 50% none - more than all 150% A note."
