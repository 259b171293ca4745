"""Boxes as text."""

import re
from collections.abc import Sequence

import numpy as np

from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.pixels import normalize_point

COORDINATE_SCALE = 1000
BOX = "bounding box region ({}, {}, {}, {})"

_MASK = "<mask>"
_REGION = re.compile(r"<mask>|[Rr]egion \[([0-9]{1,6})\]")


def check_boxes(boxes_xyxy: np.ndarray, width: int, height: int) -> None:
    """Raises BadInput that names the first of the boxes [N, 4] that is none of an image."""
    for x1, y1, x2, y2 in np.asarray(boxes_xyxy, np.float64).tolist():
        if not (0 <= x1 < x2 <= width and 0 <= y1 < y2 <= height):
            raise BadInput(
                f"({x1:g}, {y1:g}, {x2:g}, {y2:g}) is no box of the image of {width}x{height}"
                " pixels: its left, top, right and bottom must lie inside, the first two before the"
                " last two."
            )


def box_text(box_xyxy: Sequence[float] | np.ndarray, width: int, height: int) -> str:
    """Names a box in 1/1000 of its image's sides.

    Args:
        box_xyxy: left, top, right, bottom in pixels of the original image: VLM3's labels round
            from these, not from the resized image.
        width: of the original image.
        height: of the original image.
    """
    x1, y1, x2, y2 = box_xyxy
    first = normalize_point(x1, y1, width, height, COORDINATE_SCALE)
    return BOX.format(*first, *normalize_point(x2, y2, width, height, COORDINATE_SCALE))


def name_regions(text: str, names: Sequence[str]) -> str:
    """Puts names in the place of `<mask>`, one after the other, and of `Region [i]`.

    Args:
        text: question or answer of SpatialRGPT's data.
        names: of the regions, see `box_text`.

    Raises:
        BadInput: the text refers to a region that has no name.
    """
    masks = iter(range(text.count(_MASK)))

    def name(match: re.Match[str]) -> str:
        index = next(masks) if match[0] == _MASK else int(match[1])
        if index >= len(names):
            raise BadInput(
                f"'{text}' refers to region {index}, but has {len(names)} boxes, counted from 0:"
                " correct one of them."
            )
        return names[index]

    return _REGION.sub(name, text)


def mentioned_regions(text: str) -> tuple[int, ...]:
    """Places of the boxes that `<mask>` and `Region [i]` of a text stand for, each once."""
    masks = iter(range(text.count(_MASK)))
    places = [int(match[1]) if match[1] else next(masks) for match in _REGION.finditer(text)]
    return tuple(dict.fromkeys(places))
