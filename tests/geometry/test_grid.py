import numpy as np
import pytest

from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.grid import Grid


def test_a_cell_is_asked_about_at_its_middle():
    grid = Grid(8, 640, 480)
    pixels = grid.pixels()
    assert pixels.shape == (grid.rows, grid.columns, 2) == (60, 80, 2)
    assert pixels[0, 0].tolist() == [4, 4] and pixels[-1, -1].tolist() == [636, 476]
    assert pixels[2, 5].tolist() == [44, 20]


@pytest.mark.parametrize(("width", "height", "stride"), [(10, 7, 1), (10, 7, 3), (11, 5, 4)])
def test_cells_with_their_middle_in_the_image(width, height, stride):
    pixels = Grid(stride, width, height).pixels().reshape(-1, 2).tolist()
    middles = [
        [x, y]
        for y in range(height)
        for x in range(width)
        if x % stride == y % stride == stride // 2
    ]
    assert pixels == middles


def test_a_number_of_points_is_met_closely():
    for count in (1, 7, 100, 1000, 4800, 307200, 10**7):
        grid = Grid.of_about(count, 640, 480)
        cells = grid.rows * grid.columns
        others = [Grid(stride, 640, 480) for stride in range(1, 960)]
        best = min(abs(other.rows * other.columns - count) for other in others)
        assert abs(cells - count) == best, count
    assert np.prod(Grid.of_about(3, 200, 2).pixels().shape[:2]) >= 1


def test_grids_without_a_point_are_refused():
    with pytest.raises(BadInput, match="a stride of 960 leaves no point"):
        Grid(960, 640, 480)
    with pytest.raises(BadInput, match="stride is 0"):
        Grid(0, 640, 480)
    with pytest.raises(BadInput, match="0 points are asked for"):
        Grid.of_about(0, 640, 480)
