"""A log of the Argoverse 2 Sensor dataset: feather tables, images and sweeps named by time."""

from bisect import bisect_left
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.feather as feather

from tfds_builders.well_formed import well_formed
from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.camera import Camera
from vlm3_jax.geometry.quaternion import pose_from_wxyz

CAMERAS = (
    *("ring_front_center", "ring_front_left", "ring_front_right"),
    *("ring_rear_left", "ring_rear_right", "ring_side_left", "ring_side_right"),
)
MAX_GAP_NS = 51_000_000
"""Between an image and its sweep."""
_POSE = ("qw", "qx", "qy", "qz", "tx_m", "ty_m", "tz_m")


@dataclass(frozen=True)
class Sweep:
    """A sweep and the images nearest to it in time.

    Attributes:
        timestamp_ns: of the sweep.
        images: camera and time of each.
    """

    timestamp_ns: int
    images: tuple[tuple[str, int], ...]


def match(log: Path) -> tuple[list[Sweep], list[tuple[str, int]]]:
    """Gives each image of the ring cameras its sweep.

    Returns:
        The sweeps that have images, and the images that have no sweep near enough.
    """
    sweeps = _timestamps(log / "sensors" / "lidar", "*.feather")
    images: dict[int, list[tuple[str, int]]] = {}
    alone = []
    for camera in CAMERAS:
        for time in _timestamps(log / "sensors" / "cameras" / camera, "*.jpg"):
            place = bisect_left(sweeps, time)
            near = min(
                sweeps[max(place - 1, 0) : place + 1], key=lambda t: abs(t - time), default=None
            )
            if near is None or abs(near - time) > MAX_GAP_NS:
                alone.append((camera, time))
            else:
                images.setdefault(near, []).append((camera, time))
    return [Sweep(time, tuple(images[time])) for time in sorted(images)], alone


def _timestamps(folder: Path, pattern: str) -> list[int]:
    with well_formed(f"{folder}/{pattern}"):
        return sorted(int(path.stem) for path in folder.glob(pattern))


def read_cameras(log: Path) -> dict[str, Camera]:
    """The cameras of a log by their names."""
    path = log / "calibration" / "intrinsics.feather"
    keys = ("sensor_name", "fx_px", "fy_px", "cx_px", "cy_px", "width_px", "height_px")
    rows = zip(*_columns(path, keys), strict=True)
    with well_formed(str(path)):
        return {row[0]: Camera.from_array(row[1:], f"{path}, {row[0]}") for row in rows}


def read_mountings(log: Path) -> dict[str, list[float]]:
    """Where sensors are in the car's frame: quaternion w, x, y, z and metres, by their names."""
    path = log / "calibration" / "egovehicle_SE3_sensor.feather"
    names, *values = _columns(path, ("sensor_name", *_POSE))
    return dict(zip(names, zip(*values, strict=True), strict=True))


def read_car(log: Path) -> dict[int, list[float]]:
    """Where the car was in the city's frame, by time; as `read_mountings`."""
    times, *values = _columns(log / "city_SE3_egovehicle.feather", ("timestamp_ns", *_POSE))
    return dict(zip(times, zip(*values, strict=True), strict=True))


def pose(poses: dict, key: str | int, name: str) -> np.ndarray:
    """One of the poses as a matrix, float64 [4, 4].

    Raises:
        BadInput: it is not there or no pose.
    """
    if key not in poses:
        raise BadInput(f"{name} is not there; leave out what needs it.")
    return pose_from_wxyz(poses[key][:4], poses[key][4:], name)


def read_points(log: Path, timestamp_ns: int) -> np.ndarray:
    """The points of a sweep in the car's frame at its time, metres [N, 3]."""
    path = log / "sensors" / "lidar" / f"{timestamp_ns}.feather"
    with well_formed(str(path)):
        table = feather.read_table(path, columns=["x", "y", "z"])
        return np.stack([table[axis].to_numpy().astype(np.float64) for axis in "xyz"], axis=-1)


def _columns(path: Path, names: tuple[str, ...]) -> list[list]:
    with well_formed(str(path)):
        table = feather.read_table(path, columns=list(names))
        return [table[name].to_pylist() for name in names]
