"""Reads a house's undistorted_camera_parameters (data_organization.md of niessner/Matterport)."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.camera import Camera
from vlm3_jax.geometry.intrinsics import from_corner
from vlm3_jax.geometry.pose import check_rigid

# The file's cameras look along -z with y up.
_OPENCV_AXES = np.diag([1.0, -1.0, -1.0, 1.0])


@dataclass(frozen=True)
class Scan:
    """An image of the house.

    Attributes:
        depth: name of its depth map's file.
        color: name of its image's file.
        intrinsics: fx, 0, cx, 0, fy, cy, 0, 0, 1.
        pose: camera to world, row by row, 16 numbers.
    """

    depth: str
    color: str
    intrinsics: tuple[float, ...]
    pose: tuple[float, ...]

    def camera(self, width: int, height: int, config: str) -> Camera:
        """Intrinsics of the image as it is stored.

        The file counts y from the image's bottom edge. 'corrected' turns it over, and counts from
        pixels' centres; 'release_faithful' takes cx and cy as they are, as DepthLM does.
        """
        fx, _, cx, _, fy, cy, *last = self.intrinsics
        if (self.intrinsics[1], self.intrinsics[3], *last) != (0, 0, 0, 0, 1):
            raise BadInput(f"{self.color} has the intrinsics {self.intrinsics}; fetch its house.")
        if config == "release_faithful":
            camera = Camera(fx, fy, cx, cy, width, height)
        else:
            camera = from_corner(fx, fy, cx, height - cy, width, height)
        camera.check(self.color)
        return camera

    def c2w(self) -> np.ndarray:
        """Camera-to-world pose, OpenCV axes, float64 [4, 4], metres."""
        pose = np.reshape(self.pose, (4, 4)) @ _OPENCV_AXES
        check_rigid(pose, f"the pose of {self.color}")
        return pose


def read_scans(path: Path) -> list[Scan]:
    """Reads the images that a .conf file lists.

    Raises:
        BadInput: it is no such file, or not whole.
        OSError: it cannot be read.
    """
    scans, intrinsics, count = [], None, None
    try:
        for line in path.read_text().splitlines():
            command, *words = line.split() or [""]
            if command == "n_images":
                count = int(words[0])
            elif command == "intrinsics_matrix":
                intrinsics = _floats(words, 9)
            elif command == "scan":
                if intrinsics is None:
                    raise ValueError("a scan comes before the first intrinsics_matrix")
                scans.append(Scan(words[0], words[1], intrinsics, _floats(words[2:], 16)))
        if len(scans) != count:
            raise ValueError(f"it lists {len(scans)} scans, but its n_images is {count}")
    except (ValueError, IndexError) as error:
        raise BadInput(f"{path} is no whole camera file ({error}); fetch it anew.") from error
    return scans


def _floats(words: list[str], count: int) -> tuple[float, ...]:
    if len(words) != count:
        raise ValueError(f"{len(words)} numbers instead of {count}")
    return tuple(map(float, words))
