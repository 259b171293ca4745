"""Images and intrinsics as users give them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from absl import logging
from PIL import Image

from vlm3_jax.data.cameras.exif import is_turned
from vlm3_jax.data.images import decode, to_rgb
from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.camera import Camera

ImageLike = str | Path | Image.Image | np.ndarray
"""A file, a PIL image, or RGB pixels: uint8 [H, W, 3]."""

Intrinsics = Camera | Sequence[float] | np.ndarray
"""A camera, the numbers `fx, fy, cx, cy`, or the calibration matrix [3, 3]; in pixels of the image,
whose first one has its centre at (0, 0)."""


@dataclass(frozen=True)
class Photo:
    """An image file that has been read."""

    path: Path
    data: bytes
    """The file's."""
    pixels: np.ndarray
    """uint8 [H, W, 3], as they are stored."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        height, width = self.pixels.shape[:2]
        return width, height


def read_photo(path: Path) -> Photo:
    """Reads an image file; warns where viewers turn it.

    Raises:
        BadInput: it cannot be read or is no image.
    """
    data = read_bytes(path)
    pixels = decode(data, str(path))
    if is_turned(data):
        logging.warning(
            "%s is shown to the model as it is stored, not as its EXIF orientation says, and points"
            " are counted so: turn its pixels if it lies on its side (mogrify -auto-orient).",
            path,
        )
    return Photo(path, data, pixels)


def read_image(image: ImageLike) -> np.ndarray:
    """RGB pixels, uint8 [H, W, 3], as they are stored: an EXIF orientation is not applied.

    Raises:
        BadInput: it cannot be read or is no image.
    """
    name = image_name(image)
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise BadInput(
                f"{name} is {image.dtype} {list(image.shape)}, but must be uint8 [H, W, 3]."
            )
        return image
    if isinstance(image, Image.Image):
        try:
            return to_rgb(image, name)
        except BadInput:
            raise
        except (OSError, ValueError) as error:
            raise BadInput(f"{name} cannot be used ({error}): give a whole image.") from error
    return decode(read_bytes(image), name)


def read_bytes(path: str | Path) -> bytes:
    """The bytes of an image file.

    Raises:
        BadInput: it cannot be read.
    """
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise BadInput(f"the image {path} cannot be read: {error.strerror}.") from error


def image_name(image: ImageLike) -> str:
    """What an image is called in errors."""
    return str(image) if isinstance(image, str | Path) else "the image"


def as_camera(intrinsics: Intrinsics, width: int, height: int) -> Camera:
    """The camera that intrinsics describe, for an image of this size.

    Raises:
        BadInput: they describe none, or that of an image of another size.
    """
    if isinstance(intrinsics, Camera):
        camera = intrinsics
        if (camera.width, camera.height) != (width, height):
            raise BadInput(
                f"the intrinsics are those of a {camera.width}x{camera.height} image, but this one"
                f" is {width}x{height}: rescale them (vlm3_jax.geometry.intrinsics)."
            )
    else:
        values = np.asarray(intrinsics, np.float64)
        if values.shape == (3, 3):
            values = values[[0, 1, 0, 1], [0, 1, 2, 2]]
        if values.shape != (4,):
            raise BadInput(
                f"the intrinsics have the shape {list(values.shape)}: give fx, fy, cx, cy, or the"
                " calibration matrix [3, 3]."
            )
        camera = Camera(*values.tolist(), width=width, height=height)
    camera.check("the intrinsics")
    return camera
