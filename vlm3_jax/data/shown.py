"""Images at the sizes at which models are shown them."""

import math

import numpy as np

from vlm3_jax.data.images import ImageBackend, check_size, decode, resize
from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.camera import Camera, unify_focal

# What the released checkpoints were trained with: focal lengths and the longer side of an image
# without one, in pixels.
FOCAL = 1000.0
POSE_FOCAL = 750.0
LONGER_SIDE = 1024

# Wrong intrinsics would otherwise ask for an image that fills the memory.
_MAX_PIXELS = 10**8
_LONGEST_SIDE = 10_000


def check_focal(focal: float | None) -> None:
    """Raises BadInput for a focal length that images cannot be resized to; None is one that can."""
    if focal is not None and not 0 < focal < math.inf:
        raise BadInput(f"focal is {focal}, but must be a positive number of pixels.")


def check_longer_side(longer_side: int) -> None:
    """Raises BadInput for a length that images cannot be resized to."""
    if not 2 <= longer_side <= _LONGEST_SIDE:
        raise BadInput(
            f"longer_side is {longer_side}, but must be in 2 to {_LONGEST_SIDE:,} pixels."
        )


def unified_camera(
    camera: Camera, focal: float | None, name: str, per_axis: bool = False
) -> Camera:
    """The camera of an image after it is resized to a focal length.

    Args:
        camera: of the image as it is.
        focal: pixels; None leaves the image as it is.
        name: of the image, in errors.
        per_axis: scale y by its own focal length; by default that of x scales both, as released.

    Raises:
        BadInput: the focal length is none, or the image would have no pixel left or too many.
    """
    check_focal(focal)
    if focal is None:
        return camera
    try:
        unified = unify_focal(camera, focal, per_axis)
    except BadInput as error:
        raise BadInput(f"{name}: {error}") from error
    if unified.width * unified.height > _MAX_PIXELS:
        raise BadInput(
            f"{name} would be {unified.width}x{unified.height} at a focal length of"
            f" {focal:g} pixels: check its intrinsics, or choose a smaller focal."
        )
    return unified


def unify(
    image: np.ndarray,
    camera: Camera,
    focal: float | None,
    name: str,
    per_axis: bool = False,
    backend: ImageBackend = "exact",
) -> tuple[np.ndarray, Camera]:
    """Resizes an image to a focal length; see `unified_camera`.

    Returns:
        The image, uint8 [H, W, 3], and its camera.
    """
    unified = unified_camera(camera, focal, name, per_axis)
    return resize(image, unified.width, unified.height, backend), unified


def fit(
    image: np.ndarray, longer_side: int, name: str, backend: ImageBackend = "exact"
) -> np.ndarray:
    """Resizes an image, called `name` in errors, until its longer side has so many pixels.

    Raises:
        BadInput: the length cannot be used, or leaves an image that is too thin.
    """
    check_longer_side(longer_side)
    height, width = image.shape[:2]
    # Cut to whole pixels, as where focal lengths are unified.
    width, height = (side * longer_side // max(width, height) for side in (width, height))
    check_size(width, height, f"{name}, its longer side {longer_side} pixels,")
    return resize(image, width, height, backend)


def decode_view(
    data: bytes, camera: Camera, name: str, backend: ImageBackend = "exact"
) -> np.ndarray:
    """Decodes the image of a camera, called `name` in errors, to uint8 [H, W, 3].

    Raises:
        BadInput: it does not decode, or is not of the size that the camera names.
    """
    image = decode(data, name, backend)
    if image.shape[:2] != (camera.height, camera.width):
        raise BadInput(
            f"{name} is {image.shape[1]}x{image.shape[0]}, but its intrinsics are those of a"
            f" {camera.width}x{camera.height} image: correct one of them."
        )
    return image
