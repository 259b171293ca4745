"""Images at the sizes at which models are shown them."""

import numpy as np

from vlm3_jax.data.depth_samples import DepthSampling
from vlm3_jax.data.images import check_size, resize
from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.camera import Camera

# What the released checkpoints were trained with: focal lengths and the longer side of an image
# without one, in pixels.
FOCAL = 1000.0
POSE_FOCAL = 750.0
LONGER_SIDE = 1024
_LONGEST_SIDE = 10_000  # As for focal lengths: a larger image would fill the memory.


def check_focal(focal: float) -> None:
    """Raises BadInput for a focal length that images cannot be resized to."""
    DepthSampling(focal=focal)


def unify(image: np.ndarray, camera: Camera, focal: float, name: str) -> tuple[np.ndarray, Camera]:
    """Resizes an image, called `name` in errors, to a focal length.

    Returns:
        The image and its camera.

    Raises:
        BadInput: it would have no pixel left or too many.
    """
    unified = DepthSampling(focal=focal).unify(camera, name)
    return resize(image, unified.width, unified.height), unified


def fit(image: np.ndarray, longer_side: int, name: str) -> np.ndarray:
    """Resizes an image, called `name` in errors, until its longer side has so many pixels.

    Raises:
        BadInput: the length cannot be used, or leaves an image that is too thin.
    """
    if not 2 <= longer_side <= _LONGEST_SIDE:
        raise BadInput(
            f"longer_side is {longer_side}, but must be in 2 to {_LONGEST_SIDE:,} pixels."
        )
    height, width = image.shape[:2]
    # Cut to whole pixels, as where focal lengths are unified.
    width, height = (side * longer_side // max(width, height) for side in (width, height))
    check_size(width, height, f"{name}, its longer side {longer_side} pixels,")
    return resize(image, width, height)
