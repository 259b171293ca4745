import math

import numpy as np
import pytest

from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.camera import Camera, euclid_from_z, project, unproject, z_from_euclid
from vlm3_jax.geometry.intrinsics import centred, from_35mm, from_corner, from_fov, rescale


def test_field_of_view_spans_the_outer_edges():
    camera = from_fov(62.0, 640, 480)
    edges = unproject(camera, np.array([[-0.5, 239.5], [639.5, 239.5]]), np.ones(2))
    angles = np.degrees(np.arctan2(edges[:, 0], edges[:, 2]))
    np.testing.assert_allclose(angles, [-31, 31])
    assert (camera.fx, camera.cx, camera.cy) == (camera.fy, 319.5, 239.5)


@pytest.mark.parametrize("degrees", [0, -5, 180, math.nan])
def test_impossible_fields_of_view(degrees):
    with pytest.raises(BadInput, match="field of view is"):
        from_fov(degrees, 640, 480)


def test_equivalent_focal_length_is_by_the_diagonal():
    # On a 36x24 mm frame itself it is the focal length: 50 mm are 50/36 of the width.
    assert from_35mm(50, 3600, 2400).fx == pytest.approx(5000)
    # The diagonal's angle is the same for another aspect ratio, and for a picture upright.
    for width, height in ((4000, 3000), (3000, 4000)):
        camera = from_35mm(26, width, height)
        assert math.hypot(width, height) / camera.fx == pytest.approx(math.hypot(36, 24) / 26)
        assert camera.fy == camera.fx


def test_corner_origin_moves_by_half_a_pixel():
    camera = from_corner(500, 510, 320, 240, 640, 480)
    # COLMAP's (320, 240) is the corner between the four middle pixels.
    assert (camera.cx, camera.cy) == (319.5, 239.5) == (centred(1, 1, 640, 480).cx, 239.5)


def test_rescaled_camera_sees_the_same():
    camera = Camera(500, 510, 300, 200, 640, 480)
    half = rescale(camera, 320, 240)
    # The corners of the image, half a pixel outside of its first and last centres, stay corners.
    corners = np.array([[-0.5, -0.5], [639.5, 479.5]])
    rays = unproject(camera, corners, np.ones(2))
    np.testing.assert_allclose(project(half, rays)[0], [[-0.5, -0.5], [319.5, 239.5]])
    assert rescale(camera, 640, 480) == camera
    assert rescale(camera, 427, 320).width == 427  # 426.67 rounded.
    for size in ((480, 640), (640, 400), (300, 300)):
        with pytest.raises(BadInput, match="a crop and not a smaller copy"):
            rescale(camera, *size)


def test_distance_and_depth_are_inverse(rng):
    camera = Camera(500, 510, 300, 200, 640, 480)
    xy, z = rng.uniform(0, 480, (50, 2)), rng.uniform(0.1, 80, 50)
    distance = euclid_from_z(camera, xy, z)
    assert (distance >= z).all() and distance.max() > z.max() * 0.5
    np.testing.assert_allclose(z_from_euclid(camera, xy, distance), z)
    np.testing.assert_allclose(
        np.linalg.norm(unproject(camera, xy, z_from_euclid(camera, xy, z)), axis=-1), z
    )
