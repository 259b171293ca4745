import numpy as np

from vlm3_jax.geometry.camera import Camera
from vlm3_jax.geometry.correspondence import correspond, reproject

CAMERA = Camera(fx=50, fy=50, cx=31.5, cy=23.5, width=64, height=48)


def moved(x: float = 0, y: float = 0, z: float = 0) -> np.ndarray:
    c2w = np.eye(4)
    c2w[:3, 3] = x, y, z
    return c2w


def wall(depth: float) -> np.ndarray:
    return np.full((48, 64), depth)


def test_disparity_of_a_wall():
    # 0.2 m to the right of a wall 2 m away: f * 0.2 / 2 = 5 pixels to the left.
    xy, z = reproject(np.array([[20, 10]]), np.array([2.0]), CAMERA, CAMERA, moved(), moved(x=0.2))
    np.testing.assert_allclose(xy, [[15, 10]], atol=1e-9)
    np.testing.assert_allclose(z, [2.0])


def test_agrees_with_the_formula_in_matrices(rng):
    # p2 = pi(K2, E2 inv(E1) z inv(K1) p1), datasets.md section 4.1.
    from scipy.spatial.transform import Rotation

    other = Camera(70, 65, 40, 20, 80, 60)
    c2w_1, c2w_2 = moved(0.3, -0.1, 0.2), moved(-0.2, 0.1, 0)
    c2w_1[:3, :3] = Rotation.from_euler("YXZ", [10, 5, -3], degrees=True).as_matrix()
    c2w_2[:3, :3] = Rotation.from_euler("YXZ", [-8, 2, 6], degrees=True).as_matrix()
    xy, z = rng.uniform(0, 47, (30, 2)), rng.uniform(1, 4, 30)
    rays = np.linalg.inv(CAMERA.matrix) @ np.vstack([xy.T, np.ones(30)]) * z
    world = c2w_1 @ np.vstack([rays, np.ones(30)])
    pixels = other.matrix @ (np.linalg.inv(c2w_2) @ world)[:3]
    got, z_2 = reproject(xy, z, CAMERA, other, c2w_1, c2w_2)
    np.testing.assert_allclose(got, (pixels[:2] / pixels[2]).T, rtol=1e-9)
    np.testing.assert_allclose(z_2, pixels[2], rtol=1e-9)


def test_occluded_points_are_not_seen():
    depth_2 = wall(2.0)
    depth_2[:, :32] = 1.0  # something nearer covers the left half of view 2
    xy = np.array([[20, 10], [60, 10]])
    found, seen = correspond(xy, np.full(2, 2.0), CAMERA, CAMERA, moved(), moved(x=0.2), depth_2)
    assert seen.tolist() == [False, True]
    assert np.isnan(found[0]).all()
    np.testing.assert_allclose(found[1], [55, 10])


def test_points_outside_behind_or_without_depth_are_not_seen():
    xy = np.array([[2, 10], [30, 10], [30, 10], [30, 10]])
    z = np.array([2.0, 0.0, np.nan, 0.5])
    found, seen = correspond(xy, z, CAMERA, CAMERA, moved(), moved(x=0.2, z=0.6), wall(1.4))
    assert not seen.any() and np.isnan(found).all()


def test_points_on_the_edge_are_clipped_into_the_image():
    # The point lands 0.4 of a pixel beyond the first column's centre, still on that pixel.
    xy = np.array([[4.6, 47.4], [4.4, 10]])
    found, seen = correspond(xy, np.full(2, 2.0), CAMERA, CAMERA, moved(), moved(x=0.2), wall(2.0))
    assert seen.tolist() == [True, False]
    np.testing.assert_allclose(found[0], [0, 47])


def test_tolerance_decides_what_is_the_same_surface():
    args = (np.array([[30, 20]]), np.array([2.0]), CAMERA, CAMERA, moved(), moved())
    assert correspond(*args, wall(1.97))[1].all()
    assert not correspond(*args, wall(1.95))[1].any()
    assert correspond(*args, wall(1.95), absolute_tolerance=0.1)[1].all()
