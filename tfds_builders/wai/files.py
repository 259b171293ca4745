"""Depth maps of the WAI format."""

from pathlib import Path

import numpy as np
import OpenEXR

from vlm3_jax.errors import BadInput


def read_exr(path: Path) -> np.ndarray:
    """Reads an OpenEXR file of one channel, whatever its compression, as float32 [H, W]."""
    path.open("rb").close()  # OpenEXR does not tell a missing file from one that is not whole.
    try:
        with OpenEXR.File(str(path), separate_channels=True) as file:
            channels = [channel.pixels for channel in file.channels().values()]
    except (RuntimeError, ValueError, TypeError) as error:
        raise BadInput(f"{path} does not decode as OpenEXR ({error}); fetch it anew.") from error
    if len(channels) != 1 or channels[0].ndim != 2:
        raise BadInput(f"{path} has {len(channels)} channels instead of 1; convert it anew.")
    return channels[0].astype(np.float32)


def nearest(values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Resizes [H, W] by taking the nearest value."""
    rows, columns = (
        np.minimum(((np.arange(new) + 0.5) * old / new).astype(np.int64), old - 1)
        for new, old in zip(shape, values.shape, strict=True)
    )
    return values[np.ix_(rows, columns)]
