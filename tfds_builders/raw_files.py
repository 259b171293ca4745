"""Reads small raw files that many datasets have: depth maps and masks as PNG, numbers as text."""

import io
import re
from pathlib import Path

import numpy as np
from PIL import Image

from vlm3_jax.errors import BadInput

_MAX_UINT16 = 2**16 - 1


def read_uint16(path: Path) -> np.ndarray:
    """Reads a 16-bit greyscale PNG, uint16 [H, W].

    Raises:
        BadInput: it does not decode, or is no such image.
        OSError: it cannot be read.
    """
    pixels = _read_grey(path)
    if pixels.dtype == np.int32 and pixels.min() >= 0 and pixels.max() <= _MAX_UINT16:
        pixels = pixels.astype(np.uint16)  # Pillow gives some 16-bit files as 32-bit ones.
    if pixels.dtype != np.uint16:
        raise BadInput(f"{path} is no 16-bit image ({pixels.dtype}); fetch the dataset's own file.")
    return pixels


def read_mask(path: Path) -> np.ndarray:
    """Reads a greyscale image of any depth, bool [H, W]: true where it is not 0.

    Raises:
        BadInput: it does not decode, or has several channels.
        OSError: it cannot be read.
    """
    return _read_grey(path) != 0


def read_numbers(path: Path, count: int) -> list[float]:
    """Reads numbers between white space or commas from a text file.

    Raises:
        BadInput: it holds something else, or not `count` of them.
        OSError: it cannot be read.
    """
    text = path.read_bytes().decode("utf-8", "replace")
    try:
        numbers = [float(word) for word in re.split(r"[\s,]+", text.strip())]
    except ValueError as error:
        raise BadInput(
            f"{path} holds something else than numbers ({error}); fetch it anew."
        ) from error
    if len(numbers) != count:
        raise BadInput(f"{path} holds {len(numbers)} numbers instead of {count}; fetch it anew.")
    return numbers


def image_size(image: bytes) -> tuple[int, int]:
    """Width and height of an image file that decodes (see `checks.read_image`)."""
    with Image.open(io.BytesIO(image)) as opened:
        return opened.size


def _read_grey(path: Path) -> np.ndarray:
    try:
        with Image.open(io.BytesIO(path.read_bytes())) as image:
            pixels = np.asarray(image)
    except (SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise BadInput(f"{path} does not decode ({error}); fetch it anew.") from error
    except OSError as error:
        if error.filename:  # The file itself, not its content.
            raise
        raise BadInput(f"{path} does not decode ({error}); fetch it anew.") from error
    if pixels.ndim != 2:
        raise BadInput(f"{path} has {pixels.shape[-1]} channels instead of one; fetch it anew.")
    return pixels
