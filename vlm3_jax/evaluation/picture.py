"""Answers drawn on the image they are about."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

_MARK = (255, 64, 64)
_INK = (255, 255, 255)
_PAPER = (0, 0, 0)
_SMALLEST_SIDE = 480  # Smaller images are enlarged: labels on them could not be read.


def draw_points(
    image: np.ndarray, points_xy: Sequence[tuple[float, float]], labels: Sequence[str]
) -> Image.Image:
    """Marks points and writes a label at each.

    Args:
        image: uint8 [H, W, 3].
        points_xy: pixels of the image.
        labels: one short text a point.

    Returns:
        The picture; an image whose longer side is under 480 pixels is enlarged by a whole factor.
    """
    factor = max(1, -(-_SMALLEST_SIDE // max(image.shape[:2])))
    height, width = (side * factor for side in image.shape[:2])
    picture = Image.fromarray(image).resize((width, height), Image.Resampling.NEAREST)
    draw = ImageDraw.Draw(picture)
    size = max(12, max(width, height) // 50)
    font, radius = ImageFont.load_default(size), max(3, size // 4)
    for (x, y), label in zip(points_xy, labels, strict=True):
        x, y = (x + 0.5) * factor, (y + 0.5) * factor  # The middle of the pixel, enlarged.
        draw.ellipse(
            (x - radius, y - radius, x + radius, y + radius), fill=_MARK, outline=_INK, width=1
        )
        left, top, right, bottom = draw.textbbox((0, 0), label, font=font, stroke_width=2)
        text_width, text_height = right - left, bottom - top
        # Right of the point where there is room, else left of it; always inside the picture.
        text_x = x + radius + 3
        if text_x + text_width > width:
            text_x = max(x - radius - 3 - text_width, 0)
        text_y = min(max(y - text_height / 2, 0), height - text_height)
        draw.text(
            (text_x - left, text_y - top),
            label,
            font=font,
            fill=_INK,
            stroke_width=2,
            stroke_fill=_PAPER,
        )
    return picture
