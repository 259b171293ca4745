import numpy as np
import pytest

from tfds_builders.lidar import Labelling, draw, in_view, point_labels, transform
from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.camera import Camera

CAMERA = Camera(fx=1000, fy=1000, cx=500, cy=400, width=1001, height=801)
# At pixel (900, 700), z = 2: the golden value of the spec, euclid 2.236068.
GOLDEN = np.array([[0.8, 0.6, 2.0]])


def test_golden_values():
    z = point_labels(GOLDEN, CAMERA, Labelling("z"), "a")
    euclid = point_labels(GOLDEN, CAMERA, Labelling("euclid"), "a")
    assert z["points_xy"].tolist() == euclid["points_xy"].tolist() == [[900, 700]]
    assert z["depth_m"].tolist() == [2.0]
    assert euclid["depth_m"] == pytest.approx([2.236068], abs=1e-6)
    assert all(x["points_xy"].dtype == x["depth_m"].dtype == np.float32 for x in (z, euclid))


@pytest.mark.parametrize(
    ("overlap", "expected"), [("nearest", [1.0]), ("last", [1.5]), ("all", [1.0, 1.5, 2.0])]
)
def test_points_on_one_pixel(overlap, expected):
    points = np.vstack([GOLDEN, GOLDEN / 2, GOLDEN * 0.75])
    labels = point_labels(points, CAMERA, Labelling("z", overlap=overlap), "a")
    assert sorted(labels["depth_m"].tolist()) == expected


def test_pixels_and_the_image_border():
    u = np.array([-0.6, -0.4, 0.0, 10.7, 1000.0, 1000.4, 1001.0])
    xyz = np.stack([(u - 500) / 1000, np.zeros(7), np.ones(7)], -1)

    def columns(pixels):
        return in_view(xyz, CAMERA, pixels)[0][:, 0]

    np.testing.assert_allclose(columns(None), [0, 10.7, 1000], atol=1e-9)
    assert columns(np.rint).tolist() == [0, 0, 11, 1000, 1000]
    assert columns(lambda xy: np.floor(xy + 1e-9)).tolist() == [0, 10, 1000, 1000]
    assert columns(lambda xy: np.trunc(xy + 1e-9)).tolist() == [0, 0, 0, 10, 1000, 1000]


def test_points_behind_or_not_finite_are_not_in_view():
    points = np.array([[0, 0, -1], [0, 0, 0], [np.nan, 0, 1], [0, 0, np.inf]])
    with pytest.raises(BadInput, match="scene/3: no point of the lidar is in view"):
        point_labels(points, CAMERA, Labelling("z"), "scene/3")


def test_the_key_decides_the_draw():
    assert draw("a", 1000).tolist() == draw("a", 1000).tolist() != draw("b", 1000).tolist()
    assert len(set(draw("a", 1000).tolist())) == 100 and len(draw("a", 7)) == 7


def test_transform():
    pose = np.array([[0, -1, 0, 5], [1, 0, 0, 6], [0, 0, 1, 7], [0, 0, 0, 1]])
    assert transform(pose, np.array([[1, 2, 3]], np.float32)).tolist() == [[3, 7, 10]]
