"""Samples of Toyota's DGP format (github.com/TRI-ML/dgp): JSON of its protocol buffers.

Numbers that are zero may be left out there.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfds_builders.well_formed import read_json, read_npz, well_formed
from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.camera import Camera
from vlm3_jax.geometry.quaternion import pose_from_wxyz

# Values of the enum dgp.proto.DatasetSplit.
SPLITS = {"0": "train", "1": "validation", "2": "test"}
_BENT = ("skew", "k1", "k2", "k3", "k4", "k5", "k6", "p1", "p2")


@dataclass(frozen=True)
class Datum:
    """A measurement of one sensor.

    Attributes:
        sensor: its name, for example CAMERA_01.
        file: relative to the scene's folder.
        pose: as the JSON has it, of the sensor in the world when it measured.
        size: width and height of an image.
    """

    sensor: str
    file: str
    pose: dict[str, Any]
    size: tuple[int, int] | None = None

    def sensor_to_world(self, name: str) -> np.ndarray:
        """The pose, float64 [4, 4]; `name` is what it is called in an error."""
        return _pose(self.pose, f"{name}: the pose of {self.sensor}")


@dataclass(frozen=True)
class Sample:
    """What the sensors measured at about one time.

    Attributes:
        index: within the scene.
        calibration: name of its file.
        images: of the cameras asked for, in their order.
        cloud: of the lidar.
    """

    index: int
    calibration: str
    images: tuple[Datum, ...]
    cloud: Datum


def scene_files(dataset: Path) -> dict[str, list[str]]:
    """The scenes' JSON files of each split, relative to the folder of the dataset's own."""
    splits = read_json(dataset)
    with well_formed(str(dataset)):
        return {
            SPLITS[number]: list(files["filenames"])
            for number, files in sorted(splits["scene_splits"].items())
        }


def samples(scene: Path, cameras: tuple[str, ...], lidar: str) -> Iterator[Sample]:
    """The samples of a scene.

    Raises:
        BadInput: the scene is damaged, or a sample has not one datum of each sensor.
    """
    content = read_json(scene)
    with well_formed(str(scene)):
        data = {datum["key"]: datum for datum in content["data"]}
        for index, sample in enumerate(content["samples"]):
            known = {}
            for key in sample["datum_keys"]:
                name = data[key]["id"]["name"]
                known[name] = _datum(name, data[key]["datum"])
            missing = [name for name in (*cameras, lidar) if known.get(name) is None]
            if missing:
                raise BadInput(
                    f"{scene}: sample {index} has no {' and no '.join(missing)}; fetch it anew."
                )
            images = tuple(known[name] for name in cameras)
            yield Sample(index, sample["calibration_key"], images, known[lidar])


def read_camera(calibration: Path, image: Datum) -> Camera:
    """The camera that took an image.

    Raises:
        BadInput: the file is damaged, has no such sensor, or no pinhole camera.
    """
    content = read_json(calibration)
    name = f"{calibration}, {image.sensor}"
    with well_formed(name):
        values = content["intrinsics"][content["names"].index(image.sensor)]
        if bent := [key for key in _BENT if values.get(key)]:
            raise BadInput(f"{name} has {', '.join(bent)}; undistort the images first.")
        cx, cy = values.get("cx", 0.0), values.get("cy", 0.0)
        camera = Camera(values["fx"], values["fy"], cx, cy, *image.size)
    camera.check(name)
    return camera


def read_cloud(path: Path) -> np.ndarray:
    """The points of a sweep in the lidar's frame, metres [N, 3]."""
    points = read_npz(path, "data")
    if points.dtype.names:
        with well_formed(str(path)):
            return np.stack([points[axis].ravel() for axis in "XYZ"], axis=-1)
    if points.ndim != 2 or points.shape[1] < 3 or points.dtype.kind != "f":
        raise BadInput(
            f"{path} holds {points.dtype} numbers of shape {points.shape} instead of points with"
            " x, y, z; fetch it anew."
        )
    return points[:, :3]


def _datum(sensor: str, content: dict[str, Any]) -> Datum | None:
    if "image" in content:
        image = content["image"]
        size = int(image["width"]), int(image["height"])
        return Datum(sensor, image["filename"], image["pose"], size)
    if "point_cloud" in content:
        return Datum(sensor, content["point_cloud"]["filename"], content["point_cloud"]["pose"])
    return None


def _pose(values: dict[str, Any], name: str) -> np.ndarray:
    with well_formed(name):
        wxyz = [values["rotation"].get(key, 0.0) for key in ("qw", "qx", "qy", "qz")]
        translation = [values.get("translation", {}).get(key, 0.0) for key in "xyz"]
    return pose_from_wxyz(wxyz, translation, name)
