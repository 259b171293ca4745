import io
import json
import math
from pathlib import Path

import pytest
from PIL import ExifTags, Image

from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.camera import Camera
from vlm3_jax.prediction.intrinsics import CameraOptions, camera_finder, camera_if_known


def photo(**tags) -> bytes:
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif).update({ExifTags.Base[key]: v for key, v in tags.items()})
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30)).save(buffer, "JPEG", exif=exif)
    return buffer.getvalue()


def find(data: bytes = b"", **options):
    return camera_finder(CameraOptions(**options))(Path("in/a.jpg"), data, 40, 30)


def test_every_way_says_which_it_is(tmp_path):
    assert find(fx=50.0) == (Camera(50, 50, 19.5, 14.5, 40, 30), "--fx")
    assert find(fx=50.0, fy=60.0, cx=1.0, cy=2.0).camera == Camera(50, 60, 1, 2, 40, 30)
    found = find(fov=90.0)
    assert found.source == "--fov" and found.camera.fx == pytest.approx(20)
    # What is said of the camera goes before what the photo says.
    data = photo(FocalLengthIn35mmFilm=35)
    assert find(data, fx=50.0).source == "--fx"
    found = find(data)
    assert found.source == "EXIF FocalLengthIn35mmFilm 35"
    assert found.camera.fx == pytest.approx(35 * 50 / math.hypot(36, 24))

    (tmp_path / "cameras.txt").write_text("7 PINHOLE 40 30 50 51 20 15\n")
    (tmp_path / "images.txt").write_text("1 1 0 0 0 0 0 0 7 a.jpg\n\n")
    found = find(cameras=str(tmp_path))
    expected = Camera(50, 51, 19.5, 14.5, 40, 30)
    assert found == (expected, f"{tmp_path}/cameras.txt, camera 7")
    frame = {"file_path": "a.jpg", "fl_x": 50, "fl_y": 51, "cx": 20, "cy": 15, "w": 40, "h": 30}
    path = tmp_path / "transforms.json"
    path.write_text(json.dumps({"frames": [frame]}))
    assert find(cameras=str(path)) == (expected, f"{path}, frame a.jpg")


def test_nothing_is_guessed():
    with pytest.raises(BadInput) as raised:
        find(photo())
    message = str(raised.value)
    for way in ("in/a.jpg", "--fx", "--fov", "--cameras", "EXIF"):
        assert way in message


def test_a_camera_may_be_unknown():
    def known(data: bytes, **options):
        return camera_if_known(CameraOptions(**options), Path("in/a.jpg"), data, 40, 30)

    assert known(photo()) is None
    for data, options in ((photo(FocalLengthIn35mmFilm=35), {}), (photo(), {"fx": 50.0})):
        assert known(data, **options) == find(data, **options)
    with pytest.raises(BadInput, match=r"fx is -1\.0"):
        known(photo(), fx=-1.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fy": 50.0}, "--fy is given without --fx"),
        ({"fov": 60.0, "cx": 3.0}, "--cx is given without --fx"),
        ({"fx": 50.0, "fov": 60.0}, "--fx and --fov each give the camera"),
        ({"fov": 60.0, "cameras": "x"}, "--fov and --cameras each give the camera"),
        ({"fov": 200.0}, "the field of view is 200 degrees"),
        ({"fx": -1.0}, r"in/a\.jpg: fx is -1\.0; a focal length is a positive"),
        ({"cameras": "/none.json"}, "--cameras=/none.json is no readable JSON"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(BadInput, match=message):
        find(**options)
