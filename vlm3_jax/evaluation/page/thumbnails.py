"""Images in the size of a card on a page."""

import numpy as np
from PIL import Image

from vlm3_jax.data.images import decode

# Pixels of the longer side: enough for a card of a page on a dense screen, alone or beside another.
LONGER_SIDE = 560
LONGER_SIDE_OF_TWO = 420
# Readable where the card is as narrow as a phone.
FONT_SIZE, FONT_SIZE_OF_TWO = 22, 28


def numbers(count: int) -> list[str]:
    """Labels from 1 on."""
    return [str(place) for place in range(1, count + 1)]


def thumbnail(data: bytes, name: str, longer_side: int = LONGER_SIDE) -> tuple[np.ndarray, float]:
    """Decodes an image file and scales it to one size, so that labels are equally large on all.

    Args:
        data: PNG or JPEG.
        name: what it is called in an error.
        longer_side: of the result, pixels.

    Returns:
        uint8 [H, W, 3], and the factor from the file's pixels to its own.
    """
    image = decode(data, name)
    height, width = image.shape[:2]
    factor = longer_side / max(height, width)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    # Enlarged pixels stay visible as such.
    way = Image.Resampling.LANCZOS if factor < 1 else Image.Resampling.NEAREST
    return np.asarray(Image.fromarray(image).resize(size, way)), factor
