import json
from pathlib import Path

import pytest

from vlm3_jax.data.cameras import nerfstudio
from vlm3_jax.data.cameras.listed import find_camera
from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.camera import Camera

TOP = {"fl_x": 500.0, "fl_y": 510.0, "cx": 321.0, "cy": 239.0, "w": 640, "h": 480.0}
POSE = {"transform_matrix": [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]}


def write(path: Path, top: dict, *frames: dict) -> Path:
    path.write_text(json.dumps({**top, "frames": [POSE | frame for frame in frames]}))
    return path


def find(path: Path, name: str, width: int = 640, height: int = 480):
    return find_camera(nerfstudio.read(path), Path(name), width, height)


def test_intrinsics_of_the_file_and_of_a_frame(tmp_path):
    path = write(
        tmp_path / "transforms.json",
        TOP | {"camera_model": "OPENCV", "k1": 0.0, "p2": 0},
        {"file_path": "images/1.png"},
        {"file_path": "./images/2.png", "fl_x": 600.0, "cx": 300.0},
    )
    camera, source = find(path, "images/1.png")
    assert camera == Camera(500, 510, 320.5, 238.5, 640, 480)
    assert source == f"{path}, frame images/1.png"
    assert find(path, "/data/2.png")[0] == Camera(600, 510, 299.5, 238.5, 640, 480)
    # Smaller copies lie in folders of their own.
    quarter = find(path, "images_4/1.png", 160, 120)[0]
    assert quarter == Camera(125, 127.5, 321 / 4 - 0.5, 239 / 4 - 0.5, 160, 120)


def test_images_of_one_name_may_share_a_camera(tmp_path):
    frames = [{"file_path": f"{side}/1.png"} for side in ("left", "right")]
    path = write(tmp_path / "t.json", TOP, *frames)
    assert find(path, "elsewhere/1.png")[0] == Camera(500, 510, 320.5, 238.5, 640, 480)
    path = write(tmp_path / "t.json", TOP, frames[0], frames[1] | {"fl_x": 600})
    assert find(path, "right/1.png")[0].fx == 600
    with pytest.raises(BadInput, match=r"several images for .*\(left/1\.png, right/1\.png\)"):
        find(path, "elsewhere/1.png")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"k1": 0.1, "p2": -0.2}, r"no pinhole camera \(distortion k1 0\.1, p2 -0\.2\)"),
        ({"camera_model": "OPENCV_FISHEYE"}, r"its model is OPENCV_FISHEYE\): undistort"),
        ({"fl_y": "wide"}, "its intrinsics are no numbers"),
        ({"fl_x": 0}, "fx is 0.0; a focal length is a positive number"),
        ({"w": 480, "h": 640}, "a crop and not a smaller copy"),
    ],
)
def test_unusable_cameras(tmp_path, change, message):
    path = write(tmp_path / "t.json", TOP, {"file_path": "1.png"} | change)
    with pytest.raises(BadInput, match=message):
        find(path, "1.png")


def test_what_is_no_such_file(tmp_path):
    path = tmp_path / "t.json"
    with pytest.raises(BadInput, match="no readable JSON"):
        nerfstudio.read(path)
    for text, message in (
        ("{", "no readable JSON"),
        ("[]", "no frames with a file_path"),
        ('{"frames": [{}]}', "no frames with a file_path"),
        ('{"frames": [{"file_path": "a.png"}]}', "frame a.png has no fl_x: write fl_x, fl_y"),
    ):
        path.write_text(text)
        with pytest.raises(BadInput, match=message):
            nerfstudio.read(path)
