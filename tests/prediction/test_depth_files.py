import io

import numpy as np
import pytest
from PIL import Image

from tests.prediction.ply import read_ply
from vlm3_jax.evaluation.colormap import turbo
from vlm3_jax.geometry.camera import Camera, project
from vlm3_jax.prediction import depth_files

NONE = np.nan


def opened(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


def test_millimetres():
    metres = np.array([[1.2344, NONE, 0.0001], [65.535, 65.5361, 1e9]], np.float32)
    data, saturated = depth_files.millimetre_png(metres)
    levels = opened(data)
    assert levels.dtype == np.uint16
    # 0 is only where there is nothing, even for what is nearer than half a millimetre.
    np.testing.assert_array_equal(levels, [[1234, 0, 1], [65535, 65535, 65535]])
    assert saturated == 2


def test_numpy_file():
    metres = np.array([[1.5, NONE]], np.float32)
    loaded = np.load(io.BytesIO(depth_files.npy(metres)))
    assert loaded.dtype == np.float32
    np.testing.assert_array_equal(loaded, metres)


def test_picture_shows_near_and_far_and_nothing():
    metres = np.array([[1.0, 4.0, NONE], [2.0, 2.0, 2.0]], np.float32)
    picture = opened(depth_files.colour_png(metres, (1.0, 4.0), 8, 22, 15))
    assert picture.shape == (15, 22, 3)  # The last cells are cut by the image's edge.
    near, far, nothing, middle = picture[0, 0], picture[0, 8], picture[7, 21], picture[8, 0]
    np.testing.assert_array_equal(near, turbo(np.array(1.0)))
    np.testing.assert_array_equal(far, turbo(np.array(0.0)))
    np.testing.assert_array_equal(middle, turbo(np.array(0.5)))  # Half way by the logarithm.
    assert len(set(nothing.tolist())) == 1
    assert (picture[:8, :8] == near).all() and (picture[:8, 8:16] == far).all()


def test_colours_run_between_common_depths():
    metres = np.r_[np.full(50, 2.0), np.full(50, 3.0), 1000.0, NONE].astype(np.float32)
    assert depth_files.colour_range(metres) == pytest.approx((2.0, 3.0))
    assert depth_files.colour_range(np.full(3, NONE, np.float32)) is None
    grey = opened(depth_files.colour_png(np.full((2, 2), NONE), None, 4, 8, 8))
    assert (grey == grey[0, 0]).all()
    flat = opened(depth_files.colour_png(np.full((2, 2), 3.0), (3.0, 3.0), 4, 8, 8))
    assert (flat == turbo(np.array(1.0))).all()


@pytest.mark.parametrize("kind", ["euclid", "z"])
def test_points_lie_on_their_pixels_at_their_depth(kind, rng, tmp_path):
    camera = Camera(560, 540, 300, 250.5, 640, 480)
    xy = np.stack([rng.integers(0, 640, 500), rng.integers(0, 480, 500)], axis=-1)
    metres = rng.uniform(0.2, 120, 500).astype(np.float32)
    colours = rng.integers(0, 256, (500, 3), np.uint8)
    path = tmp_path / "points.ply"
    path.write_bytes(depth_files.ply(depth_files.lift(camera, xy, metres, kind), colours))
    xyz, read_colours = read_ply(path)
    assert np.abs(project(camera, xyz)[0] - xy).max() < 0.01
    said = np.linalg.norm(xyz, axis=1) if kind == "euclid" else xyz[:, 2]
    np.testing.assert_allclose(said, metres, rtol=1e-6)
    np.testing.assert_array_equal(read_colours, colours)


def test_an_empty_cloud_is_a_file_too(tmp_path):
    path = tmp_path / "points.ply"
    path.write_bytes(depth_files.ply(np.empty((0, 3)), np.empty((0, 3), np.uint8)))
    assert len(read_ply(path)[0]) == 0
