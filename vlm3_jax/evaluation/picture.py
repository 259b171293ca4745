"""Answers drawn on the images they are about."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

_MARK = (255, 64, 64)
_TRUTH = (64, 220, 96)
_INK = (255, 255, 255)
_PAPER = (0, 0, 0)
# Of boxes and lines, one after the other.
_COLORS = ((255, 64, 64), (64, 160, 255), (255, 176, 32), (200, 96, 255), (32, 208, 208))
_FAR = 1e6  # Pixels; what lies beyond cannot be drawn and is not in the picture either way.
_SMALLEST_SIDE = 480  # Smaller images are enlarged: labels on them could not be read.


class _Canvas:
    """A picture to draw on in pixels of the image it began with."""

    def __init__(self, image: np.ndarray):
        self.factor = max(1, -(-_SMALLEST_SIDE // max(image.shape[:2])))
        height, width = (side * self.factor for side in image.shape[:2])
        self.picture = Image.fromarray(image).resize((width, height), Image.Resampling.NEAREST)
        self.draw = ImageDraw.Draw(self.picture)
        size = max(12, max(width, height) // 50)
        self.font, self.radius = ImageFont.load_default(size), max(3, size // 4)

    def place(self, x: float, y: float) -> tuple[float, float]:
        """The middle of a pixel, enlarged."""
        return (x + 0.5) * self.factor, (y + 0.5) * self.factor

    def dot(self, x: float, y: float, color: tuple[int, int, int], size: int = 1) -> None:
        x, y = self.place(x, y)
        r = self.radius * size
        self.draw.ellipse((x - r, y - r, x + r, y + r), fill=color, outline=_INK, width=1)

    def label(self, x: float, y: float, text: str) -> None:
        """Writes right of a pixel where there is room, else left of it; always inside."""
        x, y = self.place(x, y)
        left, top, right, bottom = self.draw.textbbox((0, 0), text, font=self.font, stroke_width=2)
        width, height = right - left, bottom - top
        text_x = x + self.radius + 3
        if text_x + width > self.picture.width:
            text_x = max(x - self.radius - 3 - width, 0)
        text_y = min(max(y - height / 2, 0), self.picture.height - height)
        self.draw.text(
            (text_x - left, text_y - top),
            text,
            font=self.font,
            fill=_INK,
            stroke_width=2,
            stroke_fill=_PAPER,
        )


def draw_points(
    image: np.ndarray,
    points_xy: Sequence[tuple[float, float]],
    labels: Sequence[str],
    colors: Sequence[tuple[int, int, int]] | None = None,
) -> Image.Image:
    """Marks points and writes a label at each.

    Args:
        image: uint8 [H, W, 3].
        points_xy: pixels of the image.
        labels: one short text a point.
        colors: one a point, whose dots are larger for it; all are red without them.

    Returns:
        The picture; an image whose longer side is under 480 pixels is enlarged by a whole factor.
    """
    canvas = _Canvas(image)
    size = 1 if colors is None else 2
    colors = [_MARK] * len(points_xy) if colors is None else colors
    for (x, y), label, color in zip(points_xy, labels, colors, strict=True):
        canvas.dot(x, y, color, size)
        canvas.label(x, y, label)
    return canvas.picture


def draw_boxes(
    image: np.ndarray, boxes_xyxy: Sequence[Sequence[float]], labels: Sequence[str]
) -> Image.Image:
    """Draws boxes, each in its colour, and writes a label at the upper left corner of each.

    Args:
        image: uint8 [H, W, 3].
        boxes_xyxy: left, top, right, bottom, pixels of the image.
        labels: one short text a box.

    Returns:
        The picture, enlarged as in `draw_points`.
    """
    canvas = _Canvas(image)
    for number, (x1, y1, x2, y2) in enumerate(boxes_xyxy):
        corners = (*canvas.place(x1, y1), *canvas.place(x2, y2))
        canvas.draw.rectangle(
            corners, outline=_COLORS[number % len(_COLORS)], width=max(2, canvas.radius // 2)
        )
    for (x1, y1, _, _), label in zip(boxes_xyxy, labels, strict=True):
        canvas.label(x1, y1, label)
    return canvas.picture


def draw_matches(
    image_1: np.ndarray,
    image_2: np.ndarray,
    points_1: Sequence[tuple[float, float]],
    points_2: Sequence[tuple[float, float] | None],
    truths_2: Sequence[tuple[float, float]] | None = None,
) -> Image.Image:
    """Puts two images side by side and joins what was said to correspond.

    Args:
        image_1: uint8 [H, W, 3].
        image_2: uint8; a lower image gets a black edge below.
        points_1: pixels of the first image.
        points_2: the answers, pixels of the second image; None where there is none.
        truths_2: the labels, pixels of the second image: a green dot, joined to the answer. None
            where they are not known.

    Returns:
        The picture, enlarged as in `draw_points`.
    """
    height, width = max(len(image_1), len(image_2)), image_1.shape[1]
    both = np.zeros((height, width + image_2.shape[1], 3), np.uint8)
    both[: len(image_1), :width] = image_1
    both[: len(image_2), width:] = image_2
    canvas = _Canvas(both)
    if truths_2 is None:
        truths_2 = [None] * len(points_1)
    for number, (first, second, truth) in enumerate(zip(points_1, points_2, truths_2, strict=True)):
        color = _COLORS[number % len(_COLORS)]
        canvas.dot(*first, color)
        label = None if truth is None else (truth[0] + width, truth[1])
        if second is not None:
            # An answer may lie outside of the image; its line ends at the picture's edge.
            x, y = np.clip(second, -_FAR, _FAR).tolist()
            answer = x + width, y
            canvas.draw.line((canvas.place(*first), canvas.place(*answer)), fill=color, width=2)
            if label is not None:
                canvas.draw.line(
                    (canvas.place(*answer), canvas.place(*label)), fill=_TRUTH, width=2
                )
            canvas.dot(*answer, color)
        if label is not None:
            canvas.dot(*label, _TRUTH)
    return canvas.picture
