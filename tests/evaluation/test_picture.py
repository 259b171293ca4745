import numpy as np
import pytest

from vlm3_jax.evaluation.picture import draw_boxes, draw_matches, draw_points


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


def test_points_have_their_colours():
    image, colours = np.full((480, 640, 3), 90, np.uint8), [(10, 20, 30), (200, 100, 50)]
    points = [(100, 100), (300, 200)]
    picture = np.asarray(draw_points(image, points, ["", ""], colours))
    assert [tuple(picture[y, x].tolist()) for x, y in points] == colours
    with pytest.raises(ValueError):
        draw_points(image, points, ["", ""], colours[:1])


def test_boxes_have_their_edges_and_colours():
    image = np.full((480, 640, 3), 90, np.uint8)
    picture = np.asarray(draw_boxes(image, [(100, 80, 300, 200), (320, 90, 500, 400)], ["", ""]))
    for x, y in ((100, 150), (300, 150), (200, 80), (200, 200)):
        assert picture[y, x].tolist() == [255, 64, 64]
    assert picture[300, 320].tolist() == [64, 160, 255]
    assert picture[150, 200].tolist() == [90, 90, 90]
    labelled = np.asarray(draw_boxes(image, [(100, 80, 300, 200)], ["chair"]))
    plain = np.asarray(draw_boxes(image, [(100, 80, 300, 200)], [""]))
    top, left, bottom, right = changed(plain, labelled)
    assert right - left > 25 and abs((top + bottom) / 2 - 80) < 12


def test_matches_join_the_images():
    first, second = np.full((400, 300, 3), 90, np.uint8), np.full((300, 400, 3), 50, np.uint8)
    picture = np.asarray(
        draw_matches(
            first, second, [(100, 100), (50, 350)], [(100, 100), None], [(100, 140), (7, 9)]
        )
    )
    assert picture.shape == (400, 700, 3)
    assert picture[100, 250].tolist() == picture[100, 400].tolist() == [255, 64, 64]
    assert picture[120, 400].tolist() == picture[140, 400].tolist() == [64, 220, 96]
    # Without an answer there is the label, and no line to it.
    assert picture[9, 307].tolist() == [64, 220, 96]
    assert picture[350, 50].tolist() == [64, 160, 255] and picture[180, 180].tolist() == [
        90,
        90,
        90,
    ]
    assert picture[350, 500].tolist() == [0, 0, 0]


def test_matches_without_labels():
    image = np.full((300, 300, 3), 90, np.uint8)
    picture = np.asarray(draw_matches(image, image, [(100, 100), (50, 250)], [(100, 100), None]))
    assert picture[100, 250].tolist() == picture[100, 400].tolist() == [255, 64, 64]
    assert not (picture == [64, 220, 96]).all(axis=-1).any()
    assert picture[250, 50].tolist() == [64, 160, 255]


@pytest.mark.parametrize("far", [1e6, 1e300])
def test_absurd_answers_can_be_drawn(far):
    image = np.zeros((64, 64, 3), np.uint8)
    draw_matches(image, image, [(1, 1)], [(far, -far)], [(2, 2)])
