import numpy as np
import pytest

from vlm3_jax.evaluation.picture import draw_points


def changed(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Row and column bounds of what differs: top, left, bottom, right."""
    rows, cols = np.nonzero((before != after).any(axis=-1))
    return np.array([rows.min(), cols.min(), rows.max(), cols.max()])


@pytest.mark.parametrize("point", [(0, 0), (639, 0), (0, 479), (639, 479), (300, 200)])
def test_marks_the_point_and_writes_beside_it(point):
    image = np.full((480, 640, 3), 90, np.uint8)
    plain = np.asarray(draw_points(image, [point], [""]))
    labelled = np.asarray(draw_points(image, [point], ["12.34 m"]))
    assert plain.shape == image.shape
    x, y = point
    assert plain[y, x].tolist() == [255, 64, 64]
    top, left, bottom, right = changed(image, plain)
    assert max(y - top, bottom - y, x - left, right - x) <= 4
    # The whole label is in the picture: it is as wide and high as anywhere else.
    top, left, bottom, right = changed(plain, labelled)
    assert right - left > 40 and bottom - top > 8


def test_labels_are_equally_large_everywhere():
    image = np.full((480, 640, 3), 90, np.uint8)
    sizes = set()
    for point in [(0, 0), (639, 0), (0, 479), (639, 479), (300, 200)]:
        plain = np.asarray(draw_points(image, [point], [""]))
        top, left, bottom, right = changed(
            plain, np.asarray(draw_points(image, [point], ["12.34 m"]))
        )
        sizes.add((right - left, bottom - top))
    widths, heights = zip(*sizes, strict=True)
    assert max(widths) - min(widths) <= 1 and max(heights) - min(heights) <= 1


def test_small_images_are_enlarged_with_their_points():
    image = np.zeros((96, 128, 3), np.uint8)
    image[40, 100] = 255
    picture = np.asarray(draw_points(image, [(100, 40)], [""]))
    assert picture.shape == (4 * 96, 4 * 128, 3)
    assert picture[4 * 40 + 2, 4 * 100 + 2].tolist() == [255, 64, 64]


def test_every_point_needs_a_label():
    with pytest.raises(ValueError):
        draw_points(np.zeros((500, 500, 3), np.uint8), [(1, 1)], [])
