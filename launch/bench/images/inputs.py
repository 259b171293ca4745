"""JPEGs of a size, of photographs or made up."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from vlm3_jax.errors import BadInput

_SUFFIXES = (".jpg", ".jpeg", ".png")


def jpegs(
    folder: Path | None, number: int, size: tuple[int, int], quality: int, seed: int
) -> list[bytes]:
    """JPEG files of images that are different everywhere.

    Args:
        folder: the first photographs in it are resized; None makes images up.
        number: of images.
        size: width and height that they are stored at.
        quality: of the JPEG; colours are stored at half the resolution, as cameras do.
        seed: of images that are made up.

    Raises:
        BadInput: the folder has too few images, or a bad one.
    """
    if folder is None:
        rng = np.random.default_rng(seed)
        photographs = [_made_up(rng, size) for _ in range(number)]
    else:
        photographs = _read(folder, number)
    return [_encode(image.resize(size, Image.Resampling.BICUBIC), quality) for image in photographs]


def _read(folder: Path, number: int) -> list[Image.Image]:
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES)
    if len(paths) < number:
        raise BadInput(
            f"--images={folder} has {len(paths)} JPEG and PNG files, but --num_images is {number}:"
            " ask for fewer, or give a folder with more."
        )
    photographs = []
    for path in paths[:number]:
        try:
            photographs.append(Image.open(path).convert("RGB"))
        except OSError as error:
            raise BadInput(f"{path} does not decode ({error}): take it away.") from error
    return photographs


def _made_up(rng: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    """Noise of all scales, coarse more than fine; its JPEG is about as large as a photograph's."""
    total = np.full((size[1], size[0], 3), 128, np.float32)
    for cell, share in ((256, 0.8), (64, 0.5), (16, 0.2), (4, 0.1), (1, 0.03)):
        cells = (-(-size[1] // cell), -(-size[0] // cell), 3)
        noise = Image.fromarray(rng.integers(0, 256, cells, np.uint8))
        total += share * (np.asarray(noise.resize(size, Image.Resampling.BICUBIC)) - 128.0)
    return Image.fromarray(total.clip(0, 255).astype(np.uint8))


def _encode(image: Image.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality, subsampling="4:2:0")
    return buffer.getvalue()
