"""Dense depth maps as 16-bit PNG files with a scale."""

import io

import numpy as np
from PIL import Image

from vlm3_jax.errors import BadInput

MILLIMETRE = 0.001
_LARGEST = 2**16 - 1


def encode_depth(depth: np.ndarray) -> tuple[bytes, float]:
    """Encodes a depth map.

    Args:
        depth: in metres or another unit, [H, W]; 0 where there is none.

    Returns:
        The bytes of a 16-bit PNG, and what one of its steps is worth: a thousandth of the unit
        where the whole map fits, else as much as makes it fit. Positive depths never become 0.
    """
    depth = np.asarray(depth, np.float64)
    scale = max(MILLIMETRE, float(depth.max()) / _LARGEST)
    steps = np.clip(np.rint(depth / scale), depth > 0, _LARGEST).astype(np.uint16)
    file = io.BytesIO()
    Image.fromarray(steps).save(file, format="PNG", compress_level=3)
    return file.getvalue(), scale


def decode_depth(data: bytes, scale: float) -> np.ndarray:
    """Inverse of `encode_depth` up to half a step, float32 [H, W].

    Raises:
        BadInput: the bytes are no 16-bit PNG.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            steps = np.asarray(image)
    except (OSError, SyntaxError, ValueError) as error:
        raise BadInput(f"a depth map does not decode ({error}); build its dataset anew.") from error
    return (steps * scale).astype(np.float32)
