"""A clip of RealEstate10K: the cameras of its frames, and their depth maps."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfds_builders.raw_files import read_uint16
from tfds_builders.well_formed import well_formed
from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.camera import Camera
from vlm3_jax.geometry.pose import check_rigid

_COLUMNS = 19
_THOUSANDTH = 0.001


@dataclass(frozen=True, eq=False)
class Frame:
    """The camera of a frame.

    Attributes:
        numbers: fx, fy, cx, cy as shares of the image's width and height.
        w2c: world to camera, [3, 4].
    """

    numbers: np.ndarray
    w2c: np.ndarray

    def camera(self, width: int, height: int) -> Camera:
        """Intrinsics of an image of this size."""
        fx, fy, cx, cy = (self.numbers * [width, height, width, height]).tolist()
        return Camera(fx, fy, cx, cy, width, height)

    def c2w(self, scale: float, name: str) -> np.ndarray:
        """Camera-to-world pose with lengths times `scale`."""
        w2c = np.vstack([self.w2c, [0, 0, 0, 1]])
        check_rigid(w2c, f"{name}: pose")
        c2w = np.linalg.inv(w2c)
        c2w[:3, 3] *= scale
        return c2w


def read_clip(path: Path) -> dict[str, Frame]:
    """Reads a clip's file: a URL, then a frame a line, named by its timestamp.

    Raises:
        BadInput: a line is not of 19 numbers.
    """
    frames = {}
    with well_formed(str(path)):
        for number, line in enumerate(path.read_text().splitlines()[1:], start=2):
            words = line.split()
            if not words:
                continue
            if len(words) != _COLUMNS:
                raise BadInput(
                    f"{path} line {number} has {len(words)} columns instead of 19; fetch it anew."
                )
            values = np.array(words[1:], np.float64)
            frames[words[0]] = Frame(values[:4], values[6:].reshape(3, 4))
    return frames


def read_depth(path: Path) -> np.ndarray:
    """Reads a depth map, float32 [H, W], from NPY or a 16-bit PNG in thousandths."""
    if path.suffix == ".png":
        return read_uint16(path) * np.float32(_THOUSANDTH)
    with well_formed(str(path)):
        depth = np.load(path, allow_pickle=False).astype(np.float32)
    if depth.ndim != 2:
        raise BadInput(f"{path} has {depth.ndim} axes instead of 2; write it anew.")
    return depth
