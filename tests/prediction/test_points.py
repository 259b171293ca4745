import numpy as np
import pytest
from PIL import Image

from vlm3_jax.errors import BadInput
from vlm3_jax.prediction.points import PointChooser, PointOptions


def choose(width: int = 40, height: int = 30, **options):
    return PointChooser(PointOptions(**options)).choose(width, height, "a.png")


def test_points_themselves(tmp_path):
    assert choose(points="1,2  3.5,4").points_xy.tolist() == [[1, 2], [3.5, 4]]
    path = tmp_path / "points.csv"
    path.write_text("1,2\n\n3.5 , 4\n5\t6\n")
    chosen = choose(points_file=str(path))
    assert chosen.points_xy.tolist() == [[1, 2], [3.5, 4], [5, 6]]
    assert chosen.grid is None


def test_maps():
    chosen = choose(stride=10)
    assert chosen.points_xy.tolist() == [[x, y] for y in (5, 15, 25) for x in (5, 15, 25, 35)]
    assert chosen.cells.all() and chosen.cells.shape == (3, 4)
    assert len(choose(num_points=12).points_xy) == 12


@pytest.mark.parametrize("mode", ["1", "L", "I;16", "P", "RGB", "RGBA"])
def test_masks_count_where_they_are_not_zero(mode, tmp_path):
    where = np.zeros((30, 40), np.uint8)
    where[:, 20:] = 1  # The smallest level, whatever the largest may be.
    where[5, 5] = 1
    if mode == "I;16":
        mask = Image.fromarray(where.astype(np.uint16))
    elif mode == "P":
        mask = Image.fromarray(where, "P")
        mask.putpalette([0, 0, 0, 0, 0, 0])
    elif mode == "RGBA":  # Opaque all over.
        mask = Image.fromarray(np.dstack([where * 0, where, where * 0, where * 0 + 255]))
    else:
        mask = Image.fromarray(where * 255 if mode == "1" else where).convert(mode)
    mask.save(tmp_path / "mask.png")
    chosen = choose(stride=10, mask=str(tmp_path / "mask.png"))
    expected = [[True, False, True, True], [False, False, True, True], [False, False, True, True]]
    assert chosen.cells.tolist() == expected
    assert chosen.points_xy[:3].tolist() == [[5, 5], [25, 5], [35, 5]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "needs pixels to ask about: give --points"),
        ({"stride": 8, "points": "1,2"}, "--points and --stride each give the points"),
        ({"points": "1,2", "mask": "m.png"}, "--mask is given with --points"),
        ({"stride": 0}, "--stride is 0"),
        ({"num_points": -1}, "--num_points is -1"),
        ({"points": "1;2"}, r"--points=1;2 are no points"),
        ({"points": ""}, "--points= holds no points"),
        ({"points": "40,3"}, r"the point \(40, 3\) is outside the image of 40x30 pixels"),
        ({"stride": 100}, "a stride of 100 leaves no point of an image of 40x30"),
        ({"points_file": "/none.csv"}, "--points_file=/none.csv cannot be read"),
        ({"stride": 8, "mask": "/none.png"}, "--mask=/none.png cannot be read"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(BadInput, match=message):
        choose(**options)


def test_bad_files(tmp_path):
    path = tmp_path / "points.csv"
    for text, message in (
        ("", "holds no points"),
        ("1 2\nx,y\n", r"line 2 is no point \('x,y'\)"),
        ("1 2 3\n", "line 1 is no point"),
    ):
        path.write_text(text)
        with pytest.raises(BadInput, match=message):
            choose(points_file=str(path))
    mask = tmp_path / "mask.png"
    Image.new("L", (30, 40), 255).save(mask)
    with pytest.raises(BadInput, match=r"mask\.png is 30x40, but a\.png is 40x30"):
        choose(stride=8, mask=str(mask))
    Image.new("L", (40, 30), 0).save(mask)
    with pytest.raises(BadInput, match=r"leaves none of the 20 points of a\.png"):
        choose(stride=8, mask=str(mask))
    mask.write_bytes(mask.read_bytes()[:40])
    with pytest.raises(BadInput, match=r"mask\.png cannot be read"):
        choose(stride=8, mask=str(mask))
