import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vlm3_jax.geometry.camera import Camera, unify_focal
from vlm3_jax.geometry.pixels import normalize_point, scale_points


def test_published_samples():
    # method.md section 4: depth on 1215x920 with N = 2000, a box on 1024x768 with N = 1000.
    assert normalize_point(10, 488, 1215, 920, 2000) == (16, 1061)
    assert normalize_point(668, 0, 1024, 768, 1000) == (652, 0)


def test_rounds_half_to_even():
    assert normalize_point(1, 3, 4, 4, 10) == (2, 8)  # 2.5 and 7.5


def test_never_leaves_the_scale():
    assert normalize_point(-0.4, 480.3, 640, 480, 2000) == (0, 2000)


def test_scale_points_truncates():
    source = Camera(559.62, 558.14, 361.87, 241.99, 640, 480)
    target = unify_focal(source, 1000)
    scale = 1000 / 559.62
    points = [[519, 129], [45, 56], [0, 0], [371, 162]]
    expected = [[int(x * scale), int(y * scale)] for x, y in points]
    assert scale_points(np.array(points), source, target).tolist() == expected


@given(
    width=st.integers(1, 700),
    height=st.integers(1, 700),
    fx=st.floats(90, 2000),
    focal=st.sampled_from([90, 750, 1000, 2000]),
)
def test_every_pixel_stays_inside(width, height, fx, focal):
    source = Camera(fx, fx * 1.01, width / 2, height / 2, width, height)
    if min(width, height) * focal / fx < 1:
        return
    target = unify_focal(source, focal)
    corners = np.array([[0, 0], [width - 1, height - 1], [width - 0.01, height - 0.01]])
    x, y = scale_points(corners, source, target).T
    assert x.min() >= 0 and y.min() >= 0
    assert x.max() < target.width and y.max() < target.height
    for corner in zip(x, y, strict=True):
        named = normalize_point(*corner, target.width, target.height, 2000)
        assert min(named) >= 0 and max(named) <= 2000


def test_edge_points_are_clipped_into_the_cut_image():
    # 99 * 1.515 is 149.98, cut to 149 columns: column 99.5 would land on 150 without clipping.
    source = Camera(660, 660, 50, 50, 99, 99)
    target = unify_focal(source, 1000)
    assert target.width == 150
    per_axis = Camera(1000, 1010, 75, 75, 140, 140)
    assert scale_points(np.array([[98, 98]]), source, per_axis).tolist() == [[139, 139]]
