"""ScanNet++'s transforms.json of the DSLR: one fisheye camera and poses (nerfstudio's format)."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfds_builders.well_formed import read_json, well_formed
from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.intrinsics import from_corner
from vlm3_jax.geometry.lens import FisheyeLens
from vlm3_jax.geometry.pose import check_rigid

_CAMERA = ("fl_x", "fl_y", "cx", "cy", "w", "h")
_MODEL = "OPENCV_FISHEYE"
_OPENGL_TO_OPENCV = np.diag([1.0, -1, -1, 1])
# nerfstudio turns the world of COLMAP's reconstruction, which is the scan's; this undoes it.
_TO_SCAN = np.array([[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, -1, 0], [0, 0, 0, 1.0]])


@dataclass(frozen=True)
class Photograph:
    """A photograph of a scene.

    Attributes:
        file: its name in resized_images.
        mask: that of its mask in resized_anon_masks.
        matrix: its pose as the file has it.
        lens: of the camera.
    """

    file: str
    mask: str
    matrix: list[list[float]]
    lens: FisheyeLens

    def c2w(self, name: str) -> np.ndarray:
        """The pose in the scan's frame, OpenCV axes, float64 [4, 4]; `name` is for errors."""
        with well_formed(name):
            pose = np.asarray(self.matrix, np.float64).reshape(4, 4)
        check_rigid(pose, name)
        return _TO_SCAN @ pose @ _OPENGL_TO_OPENCV


def photographs(path: Path) -> Iterator[Photograph]:
    """The photographs of a scene but for bad ones.

    Raises:
        BadInput: the file is damaged or is that of another camera.
    """
    content = read_json(path)
    with well_formed(str(path)):
        if content["camera_model"] != _MODEL:
            raise BadInput(
                f"{path} is of a camera {content['camera_model']} instead of {_MODEL}; fetch the"
                " file of the fisheye photographs."
            )
        *numbers, width, height = (float(content[key]) for key in _CAMERA)
        camera = from_corner(*numbers, int(width), int(height))
        camera.check(str(path))
        lens = FisheyeLens(camera, *(float(content[key]) for key in ("k1", "k2", "k3", "k4")))
        for frame in content["frames"]:
            if not frame.get("is_bad", False):
                file = frame["file_path"]
                mask = frame.get("mask_path", f"{Path(file).stem}.png")
                yield Photograph(file, mask, frame["transform_matrix"], lens)
