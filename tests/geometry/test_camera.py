import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.camera import (
    Camera,
    euclid_from_z,
    project,
    unify_focal,
    unproject,
    z_from_euclid,
)

CAMERA = Camera(fx=559.62, fy=558.14, cx=361.87, cy=241.99, width=640, height=480)
focals = st.floats(50, 3000)


def test_array_round_trip_and_matrix():
    assert Camera.from_array(CAMERA.to_array()) == CAMERA
    assert CAMERA.matrix.tolist() == [[559.62, 0, 361.87], [0, 558.14, 241.99], [0, 0, 1]]


@pytest.mark.parametrize(
    "values", [[1.0] * 5, [500, 500, 1, 1, 640.5, 480], [1] * 4 + [math.nan] * 2]
)
def test_from_array_rejects_other_shapes(values):
    with pytest.raises(BadInput, match="not fx, fy, cx, cy, W, H"):
        Camera.from_array(values)


@pytest.mark.parametrize(
    ("field", "value"),
    [(f, v) for f in ("fx", "fy") for v in (0.0, -1.0, math.nan, math.inf)]
    + [("cx", math.nan), ("cy", math.inf), ("width", 0), ("height", -3)],
)
def test_check_names_the_culprit(field, value):
    camera = Camera(**{**CAMERA.__dict__, field: value})
    with pytest.raises(BadInput, match=r"^room\.jsonl line 3: "):
        camera.check("room.jsonl line 3")


def test_check_accepts_a_real_camera():
    CAMERA.check("iBims-1")


def test_unify_focal_matches_the_published_sample():
    # VLM3's sample label: fx 902.47, fy 901.39 become 1000 and 998.81 (method.md section 3).
    unified = unify_focal(Camera(902.47, 901.39, 540.0, 410.0, 1097, 831), 1000)
    assert unified.fx == 1000
    assert unified.fy == pytest.approx(998.80, abs=0.01)
    assert (unified.width, unified.height) == (int(1097 / 0.90247), int(831 / 0.90247))
    assert unified.cx == pytest.approx(540.0 / 0.90247)


def test_unify_focal_per_axis_matches_the_published_pose_sample():
    # 1752x1168 becomes 2830x1884 at f = 750: the axes are scaled apart (datasets.md section 5).
    camera = Camera(1752 * 750 / 2830.2, 1168 * 750 / 1884.3, 876, 584, 1752, 1168)
    unified = unify_focal(camera, 750, per_axis=True)
    assert (unified.width, unified.height, unified.fx, unified.fy) == (2830, 1884, 750, 750)


def test_unify_focal_leaves_a_unified_camera_alone():
    camera = Camera(100, 100, 63.5, 47.5, 128, 96)
    assert unify_focal(camera, 100) == camera


def test_unify_focal_rejects_an_image_that_vanishes():
    with pytest.raises(BadInput, match="check its intrinsics"):
        unify_focal(Camera(1e9, 1e9, 0, 0, 640, 480), 1000)


@given(fx=focals, fy=focals, focal=focals)
def test_unify_focal_keeps_every_ray(fx, fy, focal):
    camera = Camera(fx, fy, 310.0, 250.5, 640, 480)
    unified = unify_focal(camera, focal)
    ray = np.array([[0.1, -0.2, 1.0]])
    pixel, _ = project(camera, ray)
    unified_pixel, _ = project(unified, ray)
    np.testing.assert_allclose(unified_pixel, pixel * focal / fx, rtol=1e-9)


def test_euclid_golden_value():
    # datasets.md section 9.
    camera = Camera(1000, 1000, 500, 400, 1000, 800)
    assert euclid_from_z(camera, [900, 700], 2.0) == pytest.approx(2.236068, abs=1e-6)


def test_depth_kinds_convert_exactly(rng):
    camera = Camera(1000, 990, 500, 400, 1000, 800)
    xy, z = rng.uniform(0, 800, (50, 2)), rng.uniform(0.1, 90, 50)
    distance = euclid_from_z(camera, xy, z)
    np.testing.assert_allclose(z_from_euclid(camera, xy, distance), z, rtol=1e-14)


def test_project_agrees_with_the_calibration_matrix(rng):
    xyz = rng.uniform([-1, -1, 0.5], [1, 1, 5], (20, 3))
    xy, z = project(CAMERA, xyz)
    homogeneous = xyz @ CAMERA.matrix.T
    np.testing.assert_allclose(xy, homogeneous[:, :2] / homogeneous[:, 2:], rtol=1e-12)
    np.testing.assert_allclose(unproject(CAMERA, xy, z), xyz, rtol=1e-12)


def test_project_behind_the_camera_is_nan():
    xy, z = project(CAMERA, [[0, 0, -1.0], [0, 0, 0.0]])
    assert np.isnan(xy).all() and z.tolist() == [-1, 0]
