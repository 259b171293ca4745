"""Images decoded, resized and cut into patches, pixel for pixel as Qwen's processor does.

The `exact` backend is Pillow, as in transformers. The `fast` one decodes colour JPEGs by
libjpeg-turbo without Pillow's copies, and resizes by `bicubic.py`: the same levels in less time.
"""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, UnidentifiedImageError
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import (
    Qwen2VLImageProcessorPil,
    smart_resize,
)

from vlm3_jax.errors import BadInput

ImageBackend = Literal["exact", "fast"]

MAX_ASPECT_RATIO = 200
_CHANNELS = 3


def decode(data: bytes, name: str, backend: ImageBackend = "exact") -> np.ndarray:
    """Decodes an image file to RGB.

    Pixels stay as they are stored: an EXIF orientation is not applied, since intrinsics and labels
    refer to the stored pixels. Transparent images are laid on white, as transformers does; of
    16-bit images the upper byte is kept. Of an animation the first frame is taken.

    Args:
        data: the file's bytes.
        name: what the image is called in an error.
        backend: what decodes a JPEG; everything else is Pillow's.

    Returns:
        uint8 [H, W, 3].

    Raises:
        BadInput: the bytes do not decode, or the image is 1 pixel wide or high or has an aspect
            ratio over 200.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            check_size(image.width, image.height, name)
            pixels = _decode_jpeg(data, image) if backend == "fast" else None
            return to_rgb(image, name) if pixels is None else pixels
    except BadInput:
        raise
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise _no_image(name, error) from error


def image_size(data: bytes, name: str) -> tuple[int, int]:
    """Width and height of an image file, which is not decoded.

    Raises:
        BadInput: the bytes begin no image.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            return image.size
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise _no_image(name, error) from error


def _no_image(name: str, error: Exception) -> BadInput:
    reason = "no image" if isinstance(error, UnidentifiedImageError) else str(error)
    return BadInput(
        f"{name} does not decode as an image ({reason}): give a whole PNG or JPEG file."
    )


def _decode_jpeg(data: bytes, opened: Image.Image) -> np.ndarray | None:
    """The pixels of a colour JPEG; None of other files and of damaged ones, which Pillow judges."""
    if opened.format not in ("JPEG", "MPO") or opened.mode != "RGB":
        return None
    import simplejpeg  # Here and below: what only the fast backend needs.

    try:
        return simplejpeg.decode_jpeg(data, "RGB")
    except ValueError:
        return None


def to_rgb(image: Image.Image, name: str) -> np.ndarray:
    """The pixels of a PIL image, as `decode` gives them.

    Raises:
        BadInput: see `decode`.
        OSError: the image is read from a file as it is needed, and the file is not whole.
        ValueError: its values are none of an image.
    """
    check_size(image.width, image.height, name)
    return np.asarray(_to_rgb(image))


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16-bit greyscale, for which PIL would cut at 255.
        pixels = np.asarray(image)
        if pixels.min() < 0 or pixels.max() > 0xFFFF:
            raise ValueError("its values do not fit in 16 bits")
        return Image.fromarray((pixels >> 8).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        raise ValueError("its values are floating-point numbers")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image.convert("RGB")


def check_size(width: int, height: int, name: str) -> None:
    """Raises BadInput for an image that Qwen's resize cannot take."""
    if min(width, height) < 2:
        raise BadInput(f"{name} is {width}x{height}: an image needs at least 2 pixels a side.")
    if max(width, height) > MAX_ASPECT_RATIO * min(width, height):
        raise BadInput(
            f"{name} is {width}x{height}: crop it to an aspect ratio of at most {MAX_ASPECT_RATIO}."
        )


def resize(
    image: np.ndarray, width: int, height: int, backend: ImageBackend = "exact"
) -> np.ndarray:
    """Resizes uint8 [H, W, 3] by PIL's antialiased bicubic filter, Qwen's own."""
    if image.shape[:2] == (height, width):
        return image
    if backend == "fast":
        from vlm3_jax.data import bicubic

        return bicubic.resize(image, width, height)
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC))


@dataclass(frozen=True)
class ImageProcessor:
    """Qwen's image processor with uint8 patches; normalising is left to the device."""

    patch_size: int
    merge_size: int
    """A block of merge_size x merge_size patches becomes one language token."""
    min_pixels: int
    max_pixels: int
    backend: ImageBackend = "exact"

    @classmethod
    def from_folder(cls, folder: str | Path) -> "ImageProcessor":
        """Reads the image processor's settings of a Hugging Face folder.

        Raises:
            BadInput: there are none, or they ask for something that Qwen's processor never does.
        """
        try:
            qwen = Qwen2VLImageProcessorPil.from_pretrained(str(folder), local_files_only=True)
        except (OSError, ValueError) as error:
            raise BadInput(
                f"{folder} has no readable preprocessor_config.json: fetch the whole checkpoint"
                f" folder ({str(error).splitlines()[0]})."
            ) from error
        expected = {
            "do_resize": True,
            "do_rescale": True,
            "do_normalize": True,
            "resample": Image.Resampling.BICUBIC,
            "rescale_factor": 1 / 255,
        }
        for key, value in expected.items():
            if getattr(qwen, key) != value:
                raise BadInput(
                    f"{folder}/preprocessor_config.json: {key} is {getattr(qwen, key)!r}, but only"
                    f" {value!r} is supported."
                )
        return cls(
            patch_size=qwen.patch_size,
            merge_size=qwen.merge_size,
            min_pixels=qwen.size["shortest_edge"],
            max_pixels=qwen.size["longest_edge"],
        )

    def grid(self, width: int, height: int) -> tuple[int, int]:
        """Rows and columns of patches that an image of this size becomes."""
        resized = smart_resize(
            height,
            width,
            factor=self.patch_size * self.merge_size,
            min_pixels=self.min_pixels,
            max_pixels=self.max_pixels,
        )
        return resized[0] // self.patch_size, resized[1] // self.patch_size

    @property
    def patch_values(self) -> int:
        """Values of a patch: channels x patch_size x patch_size."""
        return _CHANNELS * self.patch_size**2

    def patches(self, image: np.ndarray, name: str) -> tuple[np.ndarray, tuple[int, int]]:
        """Cuts an image into patches, after Qwen's resize to whole merge blocks.

        Args:
            image: uint8 [H, W, 3].
            name: what the image is called in an error.

        Returns:
            uint8 [P, C*p*p], each patch ordered (channel, y, x), the patches of a merge block one
            after another, blocks row by row; and the grid (rows, columns) of patches.

        Raises:
            BadInput: see `check_size`.
        """
        height, width = image.shape[:2]
        check_size(width, height, name)
        rows, cols = self.grid(width, height)
        p, m = self.patch_size, self.merge_size
        if self.backend == "fast" and (height, width) != (rows * p, cols * p):
            from vlm3_jax.data import bicubic

            return bicubic.resize_to_patches(image, rows, cols, p, m), (rows, cols)
        resized = resize(image, cols * p, rows * p)
        blocks = resized.reshape(rows // m, m, p, cols // m, m, p, _CHANNELS)
        # [block row, block column, row in block, column in block, channel, y, x]
        patches = blocks.transpose(0, 3, 1, 4, 6, 2, 5)
        return patches.reshape(rows * cols, self.patch_values), (rows, cols)
