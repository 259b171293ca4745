"""EXIF records written by Pillow."""

import io
import math

import pytest
from PIL import ExifTags, Image
from PIL.TiffImagePlugin import IFDRational

from vlm3_jax.data.cameras.exif import is_turned, read_camera

TAG = ExifTags.Base


def photo(tags: dict, size=(640, 480), kind: str = "JPEG", orientation: int | None = None) -> bytes:
    exif = Image.Exif()
    exif[TAG.Make] = "Maker"  # Pillow writes no record that is empty at its top.
    exif.get_ifd(ExifTags.IFD.Exif).update(tags)
    if orientation is not None:
        exif[TAG.Orientation] = orientation
    written = Image.Exif()
    written.load(exif.tobytes())  # For TIFF, which copies records that were read.
    buffer = io.BytesIO()
    Image.new("RGB", size).save(buffer, kind, exif=written)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_equivalent_focal_length(kind):
    camera, source = read_camera(photo({TAG.FocalLengthIn35mmFilm: 26}, kind=kind))
    assert camera.fx == camera.fy == pytest.approx(26 * 800 / math.hypot(36, 24))
    assert (camera.cx, camera.cy, camera.width, camera.height) == (319.5, 239.5, 640, 480)
    assert source == "EXIF FocalLengthIn35mmFilm 26"


@pytest.mark.parametrize(
    ("unit", "per_unit"), [(None, 4000), (2, 4000), (3, 4000 / 2.54), (4, 4000 / 25.4)]
)
def test_focal_plane(unit, per_unit):
    tags = {
        TAG.FocalLength: IFDRational(127, 10),
        TAG.FocalPlaneXResolution: IFDRational(round(per_unit * 10**4), 10**4),
        TAG.FocalPlaneYResolution: IFDRational(round(per_unit * 11000), 10**4),
        **({} if unit is None else {TAG.FocalPlaneResolutionUnit: unit}),
    }
    camera, source = read_camera(photo(tags))
    assert camera.fx == pytest.approx(2000) and camera.fy == pytest.approx(2200)
    assert source.startswith("EXIF FocalLength 12.7 with FocalPlaneXResolution")
    # The resolution is that of the photo as it was taken.
    taken = {TAG.ExifImageWidth: 1280, TAG.ExifImageHeight: 960}
    camera, _ = read_camera(photo(tags | taken))
    assert camera.fx == pytest.approx(1000) and camera.fy == pytest.approx(1100)
    assert camera.cx == 319.5
    # Where its pixels were turned upright afterwards, so were its axes.
    camera, _ = read_camera(photo(tags | taken, size=(480, 640)))
    assert camera.fx == pytest.approx(1100) and camera.fy == pytest.approx(1000)


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ({}, "no focal length"),
        ({TAG.FocalLengthIn35mmFilm: 0}, "no focal length"),
        ({TAG.FocalLength: IFDRational(50, 1)}, "no focal length"),
        (
            {
                TAG.FocalLength: IFDRational(0, 0),
                TAG.FocalPlaneXResolution: IFDRational(1, 0),
                TAG.FocalPlaneYResolution: IFDRational(1, 0),
            },
            "no focal length",
        ),
        (
            {
                TAG.FocalLength: IFDRational(50, 1),
                TAG.FocalPlaneXResolution: IFDRational(4000, 1),
                TAG.FocalPlaneYResolution: IFDRational(4000, 1),
                TAG.FocalPlaneResolutionUnit: 1,
            },
            "no focal length",
        ),
        (
            {TAG.FocalLengthIn35mmFilm: 26, TAG.ExifImageWidth: 1920, TAG.ExifImageHeight: 1080},
            "EXIF is of 1920x1080 pixels, of which its 640x480 are a crop",
        ),
        ({TAG.FocalLengthIn35mmFilm: 26, TAG.DigitalZoomRatio: IFDRational(2, 1)}, "digital zoom"),
    ],
)
def test_unknown_cameras_say_why(tags, reason):
    camera, why = read_camera(photo(tags))
    assert camera is None and reason in why


def test_images_without_a_record():
    buffer = io.BytesIO()
    Image.new("RGB", (64, 48)).save(buffer, "PNG")
    assert read_camera(buffer.getvalue())[0] is None


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_torn_records_count_for_none():
    torn = io.BytesIO()
    Image.new("RGB", (64, 48)).save(torn, "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert read_camera(torn.getvalue())[0] is None
    assert not is_turned(torn.getvalue())


def test_pixels_are_those_stored():
    data = photo({TAG.FocalLengthIn35mmFilm: 26}, orientation=6)
    assert is_turned(data)
    assert (read_camera(data)[0].width, read_camera(data)[0].height) == (640, 480)
    assert not is_turned(photo({}, orientation=1)) and not is_turned(photo({}))
