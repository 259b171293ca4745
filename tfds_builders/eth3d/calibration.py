"""Reads ETH3D's calibration: cameras.txt and images.txt as COLMAP writes them (doc/format.rst)."""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.pose import check_rigid


@dataclass(frozen=True)
class Lens:
    """A camera of cameras.txt; its pixels are counted from the corner of the first one.

    Attributes:
        model: COLMAP's name.
        width: of its images, pixels.
        height: of its images, pixels.
        parameters: in COLMAP's order.
    """

    model: str
    width: int
    height: int
    parameters: tuple[float, ...]


@dataclass(frozen=True)
class Calibrated:
    """An image of images.txt.

    Attributes:
        lens: its camera.
        quaternion: of the world-to-camera rotation, w x y z.
        translation: of the same, metres.
    """

    lens: Lens
    quaternion: tuple[float, ...]
    translation: tuple[float, ...]

    def c2w(self, name: str) -> np.ndarray:
        """The camera-to-world pose, float64 [4, 4].

        Raises:
            BadInput: the quaternion has not length 1; the error calls the image `name`.
        """
        w, x, y, z = self.quaternion
        rotation = np.array(
            [
                [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
                [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
                [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
            ]
        )
        pose = np.eye(4)
        pose[:3, :3] = rotation.T
        pose[:3, 3] = -rotation.T @ self.translation
        check_rigid(pose, f"the pose of {name}")
        return pose


def read_calibration(folder: Path) -> dict[str, Calibrated]:
    """Reads the images of a folder's calibration by the names of their files.

    Raises:
        BadInput: a file is none of COLMAP's, or names a camera that is not listed.
        OSError: a file cannot be read.
    """
    cameras, images = folder / "cameras.txt", folder / "images.txt"
    try:
        lenses = dict(_lens(line) for line in _lines(cameras))
    except (ValueError, IndexError) as error:
        raise BadInput(f"{cameras} is no file of COLMAP ({error}); fetch it anew.") from error
    try:
        # Every second line lists the points of the image before it, and may be empty.
        lines = [line for line in images.read_text().splitlines() if not line.startswith("#")]
        return dict(_image(line, lenses) for line in lines[::2] if line.strip())
    except (ValueError, IndexError) as error:
        raise BadInput(f"{images} is no file of COLMAP ({error}); fetch it anew.") from error
    except KeyError as error:
        raise BadInput(
            f"{images} names camera {error}, which {cameras} lacks; fetch both."
        ) from error


def _lines(path: Path) -> list[str]:
    lines = path.read_text().splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


def _lens(line: str) -> tuple[str, Lens]:
    number, model, width, height, *parameters = line.split()
    return number, Lens(model, int(width), int(height), tuple(map(float, parameters)))


def _image(line: str, lenses: dict[str, Lens]) -> tuple[str, Calibrated]:
    words = line.split(maxsplit=9)  # Id, quaternion, translation, camera, name.
    numbers = [float(word) for word in words[1:8]]
    calibrated = Calibrated(lenses[words[8]], tuple(numbers[:4]), tuple(numbers[4:]))
    return PurePosixPath(words[9].strip()).name, calibrated
