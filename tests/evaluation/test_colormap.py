import numpy as np
import pytest

from vlm3_jax.evaluation.colormap import depth_levels, paint, turbo


def test_turbo_is_googles():
    # Entries 0, 64, 128, 192 and 255 of matplotlib's map of that name.
    table = [[48, 18, 59], [40, 188, 235], [164, 252, 60], [251, 126, 33], [122, 4, 3]]
    colours = turbo(np.array([0, 64, 128, 192, 255]) / 255).astype(int)
    assert np.abs(colours - table).max() <= 32  # As far off is the polynomial at the dark ends.
    np.testing.assert_array_equal(turbo(np.array([-1.0, 2.0])), turbo(np.array([0.0, 1.0])))


def test_depths_are_levels_by_their_logarithm():
    levels = depth_levels(np.array([1.0, 2.0, 4.0, 8.0, np.nan]), (1.0, 4.0))
    np.testing.assert_allclose(levels[:4], [1, 0.5, 0, -0.5], atol=1e-12)
    assert np.isnan(levels[4])
    assert depth_levels(np.array(3.0), (3.0, 3.0)) == pytest.approx(1)


def test_what_has_no_value_is_grey():
    colours = paint(np.array([[0.25, np.nan]]))
    np.testing.assert_array_equal(colours[0, 0], turbo(np.array(0.25)))
    assert colours[0, 1].tolist() == [128, 128, 128]
