import numpy as np
import pytest

from tfds_builders.labels import POINTS, draw_labels, draw_pixels
from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.camera import Camera

CAMERA = Camera(1000, 1000, 500, 400, 1000, 800)


def test_the_spec_s_golden_value():
    depth = np.zeros((800, 1000))
    depth[700, 900] = 2
    labels = draw_labels(depth, CAMERA, "a", "euclid")
    assert labels["points_xy"].tolist() == [[900, 700]]
    assert labels["depth_m"] == pytest.approx(2.236068, abs=1e-6)
    assert labels["label_kind"] == "euclid"
    assert labels["points_xy"].dtype == labels["depth_m"].dtype == np.float32
    assert draw_labels(depth, CAMERA, "a", "z")["depth_m"].tolist() == [2.0]


def test_points_differ_have_depth_and_follow_from_the_key():
    valid = np.random.default_rng(0).random((60, 80)) < 0.5
    points = draw_pixels(valid, "a", margin=10)
    assert len(np.unique(points, axis=0)) == POINTS
    assert valid[points[:, 1], points[:, 0]].all()
    assert points.min(0).tolist() >= [10, 10] and points.max(0).tolist() <= [69, 49]
    np.testing.assert_array_equal(points, draw_pixels(valid, "a", margin=10))
    assert (points != draw_pixels(valid, "b", margin=10)).any()


def test_every_pixel_can_be_drawn():
    valid = np.zeros((20, 30), bool)
    valid[[0, 0, 19, 19, 5], [0, 29, 0, 29, 7]] = True
    assert sorted(draw_pixels(valid, "a").tolist()) == [[0, 0], [0, 19], [7, 5], [29, 0], [29, 19]]
    assert draw_pixels(valid, "a", margin=5).tolist() == [[7, 5]]


@pytest.mark.parametrize(
    ("depth", "message"),
    [
        (np.ones((4, 4)), "the depth map of a is 4x4"),
        (np.full((800, 1000), -1.0), "negative"),
        (np.full((800, 1000), np.inf), "not finite"),
        (np.zeros((800, 1000)), "no depth anywhere"),
    ],
)
def test_a_bad_depth_map_is_named(depth, message):
    with pytest.raises(BadInput, match=message):
        draw_labels(depth, CAMERA, "a", "z")


def test_a_map_with_depth_at_its_border_only_is_named():
    depth = np.zeros((800, 1000))
    depth[3] = 1
    with pytest.raises(BadInput, match="a has no usable pixel 10 pixels from the border"):
        draw_labels(depth, CAMERA, "a", "z", margin=10)
