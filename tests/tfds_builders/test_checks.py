import numpy as np
import pytest

from tests.tfds_builders.test_depthlm_jsonl import png
from tfds_builders import checks
from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.camera import Camera

CAMERA = Camera(50, 50, 32, 24, 64, 48)


def test_missing_raw_data_name_the_readme(tmp_path):
    (tmp_path / "poses.txt").touch()
    assert checks.needed(tmp_path, "*.txt", builder="rooms") == tmp_path / "*.txt"
    with pytest.raises(BadInput) as error:
        checks.needed(tmp_path, "poses.txt", "images", builder="rooms")
    assert f"{tmp_path / 'images'} is missing" in str(error.value)
    assert "'Manual download' of tfds_builders/rooms/README.md" in str(error.value)


def test_paths_in_raw_data_stay_inside(tmp_path):
    assert checks.inside(tmp_path, "a/..b.png", "a") == tmp_path / "a/..b.png"
    for path in ("/etc/passwd", "../b.png", "a/../../b.png", "..", None, 3):
        with pytest.raises(BadInput, match=r"^scene a names .*, which is no path inside /"):
            checks.inside(tmp_path, path, "scene a")


def test_an_empty_scene_is_named():
    checks.not_empty([1], "the frames of scene a")
    with pytest.raises(BadInput, match=r"^the frames of scene a are none"):
        checks.not_empty([], "the frames of scene a")


def test_images(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(png(64, 48))
    assert checks.read_image(path, "a", CAMERA) == path.read_bytes()
    with pytest.raises(BadInput, match="a is 64x48, but its intrinsics are of a 60x48 image"):
        checks.read_image(path, "a", Camera(50, 50, 32, 24, 60, 48))
    path.write_bytes(png(64, 48)[:-1000])
    with pytest.raises(BadInput, match="a does not decode"):
        checks.read_image(path, "a")
    with pytest.raises(BadInput, match="b cannot be read"):
        checks.read_image(tmp_path / "b.png", "b")


def depth_map(value: float) -> np.ndarray:
    depth = np.zeros((48, 64), np.float32)
    depth[3, 4:6] = value
    return depth


@pytest.mark.parametrize(
    ("depth", "message"),
    [
        (depth_map(np.nan), "m has 2 depths that are not finite, such as nan"),
        (depth_map(np.inf), "not finite, such as inf"),
        (depth_map(-0.5), "2 depths that are negative, such as -0.5"),
        (depth_map(0), "m has no depth anywhere"),
        (np.ones((64, 48)), "m is 48x64, but its image 64x48"),
    ],
)
def test_depth_maps(depth, message):
    checks.check_depth_map(depth_map(2), CAMERA, "m")
    with pytest.raises(BadInput, match=message):
        checks.check_depth_map(depth, CAMERA, "m")
