import numpy as np
import pytest

from vlm3_jax.geometry.camera import Camera
from vlm3_jax.geometry.lens import BrownLens, FisheyeLens

CAMERA = Camera(1000, 1010, 960, 640, 1920, 1280)
BROWN = BrownLens(CAMERA, 0.05, -0.08, 0.001, -0.002, 0.02)
FISHEYE = FisheyeLens(CAMERA, 0.03, -0.01, 0.004, -0.001)


def pixels() -> np.ndarray:
    x, y = np.meshgrid(np.linspace(0, 1919, 20), np.linspace(0, 1279, 15))
    return np.stack([x, y], -1)


def test_brown_by_hand():
    # r^2 = 0.13: radial 1 + .05*.13 - .08*.0169 + .02*.002197 = 1.00519194
    (x, y) = BROWN.bend(np.array([0.3, 0.2]))
    bent_x = 0.3 * 1.00519194 + 2 * 0.001 * 0.06 - 0.002 * (0.13 + 0.18)
    bent_y = 0.2 * 1.00519194 + 0.001 * (0.13 + 0.08) - 2 * 0.002 * 0.06
    assert x == pytest.approx(1000 * bent_x + 960, abs=1e-6)
    assert y == pytest.approx(1010 * bent_y + 640, abs=1e-6)


def test_straightening_undoes_bending():
    rays = BROWN.straighten(pixels())
    assert np.isfinite(rays).all()
    np.testing.assert_allclose(BROWN.bend(rays), pixels(), atol=0.01)
    plain = BrownLens(CAMERA, 0, 0, 0, 0, 0)
    expected = (pixels() - [960, 640]) / [1000, 1010]
    np.testing.assert_allclose(plain.straighten(pixels()), expected, atol=1e-12)


def test_where_a_lens_is_not_one_to_one_there_is_no_ray():
    folded = BrownLens(CAMERA, -0.9, 0, 0, 0, 0)
    rays = folded.straighten(pixels())
    assert np.isnan(rays[0, 0]).all() and np.isfinite(rays[7, 10]).all()


def test_fisheye_by_hand():
    (x, y), centre = FISHEYE.bend(np.array([[1.0, 0.0], [0.0, 0.0]]))
    a = np.pi / 4
    bent = a + 0.03 * a**3 - 0.01 * a**5 + 0.004 * a**7 - 0.001 * a**9
    assert (x, y) == (pytest.approx(1000 * bent + 960), pytest.approx(640))
    assert centre.tolist() == [960, 640]


def test_straightening_a_fisheye_undoes_its_bending():
    rays = FISHEYE.straighten(pixels())
    assert np.isfinite(rays).all()
    np.testing.assert_allclose(FISHEYE.bend(rays), pixels(), atol=0.01)
    behind = FisheyeLens(CAMERA, -0.3, 0, 0, 0).straighten(np.array([[5000.0, 640.0]]))
    assert np.isnan(behind).all()
