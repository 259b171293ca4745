"""Cameras from the EXIF record of a photo (CIPA DC-008)."""

import io
import math
import struct
from typing import Any

from PIL import ExifTags, Image

from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.camera import Camera
from vlm3_jax.geometry.intrinsics import centred, from_35mm, rescale

_TAG = ExifTags.Base
_MM_OF_UNIT = {2: 25.4, 3: 10.0, 4: 1.0, 5: 0.001}  # FocalPlaneResolutionUnit: inch, cm, mm, um.
_UPRIGHT = 1


def read_camera(data: bytes) -> tuple[Camera | None, str]:
    """Reads a photo's intrinsics, for its pixels as they are stored.

    `FocalLengthIn35mmFilm` comes first; without it, `FocalLength` with the resolution of the focal
    plane. The photo may have been resized since, but not cropped or zoomed into.

    Args:
        data: an image file that decodes.

    Returns:
        The camera, its principal point in the middle, and the tags that it is from; or None, and
        why there is none.
    """
    (width, height), _, tags = _open(data)
    taken = [_positive(tags, tag) for tag in (_TAG.ExifImageWidth, _TAG.ExifImageHeight)]
    if (_positive(tags, _TAG.DigitalZoomRatio) or 1) > 1:
        return None, "its EXIF tells of a digital zoom, after which its focal length is unclear"
    if None in taken:
        taken = [width, height]
    taken_width, taken_height = map(round, taken)
    turned = (taken_width > taken_height) != (width > height)

    if focal_35mm := _positive(tags, _TAG.FocalLengthIn35mmFilm):
        camera = from_35mm(focal_35mm, taken_width, taken_height)
        source = f"EXIF FocalLengthIn35mmFilm {focal_35mm:g}"
    else:
        focal = _positive(tags, _TAG.FocalLength)
        per_unit = [
            _positive(tags, tag) for tag in (_TAG.FocalPlaneXResolution, _TAG.FocalPlaneYResolution)
        ]
        unit = _MM_OF_UNIT.get(tags.get(_TAG.FocalPlaneResolutionUnit, 2))
        if None in (focal, unit, *per_unit):
            return None, "its EXIF holds no focal length that pixels follow from"
        fx, fy = (focal * value / unit for value in per_unit)
        camera = centred(fx, fy, taken_width, taken_height)
        source = f"EXIF FocalLength {focal:g} with FocalPlaneXResolution {per_unit[0]:g}"
    if turned:  # Its pixels were turned after the record was written.
        camera = centred(camera.fy, camera.fx, taken_height, taken_width)
    try:
        return rescale(camera, width, height), source
    except BadInput:
        return None, (
            f"its EXIF is of {taken_width}x{taken_height} pixels, of which its {width}x{height} are"
            " a crop"
        )


def is_turned(data: bytes) -> bool:
    """Whether viewers show the image another way up than it is stored (EXIF orientation)."""
    return _open(data)[1] not in (0, _UPRIGHT)


def _open(data: bytes) -> tuple[tuple[int, int], int, dict[int, Any]]:
    """An image's size, its EXIF orientation and the tags of its photo; none where they are torn."""
    with Image.open(io.BytesIO(data)) as image:
        try:
            record = image.getexif()
            tags = dict(record.get_ifd(ExifTags.IFD.Exif))
            return image.size, record.get(_TAG.Orientation, _UPRIGHT), tags
        except (OSError, SyntaxError, ValueError, struct.error):
            return image.size, _UPRIGHT, {}


def _positive(tags: dict[int, Any], tag: int) -> float | None:
    """A tag's number; None where it is absent, zero (which means unknown) or none at all."""
    try:
        value = float(tags[tag])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    return value if math.isfinite(value) and value > 0 else None
