"""Images of bent lenses made into those of pinhole cameras."""

import io
from collections.abc import Callable

import numpy as np
from PIL import Image

from vlm3_jax.geometry.camera import Camera, unproject

_JPEG_QUALITY = 95


def source_map(bend: Callable[[np.ndarray], np.ndarray], target: Camera) -> np.ndarray:
    """Where each pixel of a pinhole camera's image lies in the bent one, float64 [H, W, 2].

    Args:
        bend: takes rays [..., 2] to pixels of the bent image (see `vlm3_jax.geometry.lens`).
        target: the pinhole camera.
    """
    x, y = np.meshgrid(np.arange(target.width), np.arange(target.height))
    rays = unproject(target, np.stack([x, y], axis=-1), np.ones(x.shape))[..., :2]
    return bend(rays)


def sample_image(image: np.ndarray, source: np.ndarray) -> np.ndarray:
    """Takes pixels between pixels, bilinearly; black where they are outside.

    Args:
        image: uint8 [h, w, 3].
        source: positions in it, [H, W, 2].

    Returns:
        uint8 [H, W, 3].
    """
    height, width = image.shape[:2]
    inside = ((source >= 0) & (source <= [width - 1, height - 1])).all(-1)
    xy = np.where(inside[..., None], source, 0)
    corner = np.minimum(xy.astype(np.int64), [width - 2, height - 2])
    fx, fy = np.moveaxis((xy - corner).astype(np.float32), -1, 0)[..., None]
    index = corner[..., 1] * width + corner[..., 0]
    flat = image.reshape(-1, image.shape[-1])
    top = flat[index] * (1 - fx) + flat[index + 1] * fx
    bottom = flat[index + width] * (1 - fx) + flat[index + width + 1] * fx
    mixed = np.rint(top * (1 - fy) + bottom * fy)
    return np.where(inside[..., None], mixed, 0).astype(np.uint8)


def jpeg(pixels: np.ndarray) -> bytes:
    """Encodes uint8 [H, W, 3] as a JPEG of quality 95."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="JPEG", quality=_JPEG_QUALITY)
    return file.getvalue()
