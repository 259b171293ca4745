"""A segment of Waymo Perception v2: one parquet file a component, rows named by key columns."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from tfds_builders.waymo.range_image import uniform_inclinations, vehicle_points
from tfds_builders.well_formed import well_formed
from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.camera import Camera
from vlm3_jax.geometry.lens import BrownLens
from vlm3_jax.geometry.pose import check_rigid

COMPONENTS = (
    *("camera_image", "camera_calibration", "lidar", "lidar_calibration"),
    *("lidar_camera_projection", "lidar_pose", "vehicle_pose"),
)
CAMERAS = {1: "FRONT", 2: "FRONT_LEFT", 3: "FRONT_RIGHT", 4: "SIDE_LEFT", 5: "SIDE_RIGHT"}
_TOP = 1
_TIME, _LASER, _CAMERA = "key.frame_timestamp_micros", "key.laser_name", "key.camera_name"
_RETURN = ".range_image_return1"
# Waymo's cameras look along x, with y to the left and z up.
_OPENCV_TO_WAYMO = np.array([[0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1.0]])


@dataclass(frozen=True, eq=False)
class MountedCamera:
    """A camera of the car.

    Attributes:
        lens: of its raw images.
        to_vehicle: its pose in the car's frame, OpenCV axes, [4, 4].
    """

    lens: BrownLens
    to_vehicle: np.ndarray


@dataclass(frozen=True, eq=False)
class Frame:
    """What the top lidar measured at a time.

    Attributes:
        to_world: the car's pose, [4, 4].
        points: in the car's frame, [N, 3].
        pixels: camera, x and y of the raw image that each point falls on, twice, int [N, 6]; the
            camera is 0 where it falls on none.
    """

    to_world: np.ndarray
    points: np.ndarray
    pixels: np.ndarray

    def on(self, camera: int) -> tuple[np.ndarray, np.ndarray]:
        """Raw pixels [M, 2] and points [M, 3] in the car's frame that fall on a camera's image."""
        xy, points = [], []
        for first in (0, 3):
            here = self.pixels[:, first] == camera
            xy.append(self.pixels[here, first + 1 : first + 3])
            points.append(self.points[here])
        return np.concatenate(xy), np.concatenate(points)


def file(split: Path, component: str, segment: str) -> Path:
    """The file of a component."""
    return split / component / f"{segment}.parquet"


def num_images(split: Path, segment: str) -> int:
    """How many images a segment has."""
    path = file(split, "camera_image", segment)
    with well_formed(str(path)):
        return pq.read_metadata(path).num_rows


def read_images(split: Path, segment: str) -> Iterator[tuple[int, int, bytes]]:
    """Time, camera and JPEG file of each image."""
    path = file(split, "camera_image", segment)
    column = "[CameraImageComponent].image"
    for row in _rows(path, [_TIME, _CAMERA, column]):
        yield row[_TIME].as_py(), row[_CAMERA].as_py(), row[column].as_py()


def read_cameras(split: Path, segment: str) -> dict[int, MountedCamera]:
    """The cameras by their numbers."""
    path = file(split, "camera_calibration", segment)
    part = "[CameraCalibrationComponent]"
    sizes = [f"{part}.{name}" for name in ("width", "height")]
    values = ("f_u", "f_v", "c_u", "c_v", "k1", "k2", "p1", "p2", "k3")
    inner = [f"{part}.intrinsic.{name}" for name in values]
    outer = f"{part}.extrinsic.transform"
    cameras = {}
    for row in _rows(path, [_CAMERA, *sizes, *inner, outer]):
        number = row[_CAMERA].as_py()
        name = f"{path}, camera {number}"
        with well_formed(name):
            fx, fy, cx, cy, *bends = (float(row[key].as_py()) for key in inner)
            width, height = (int(row[key].as_py()) for key in sizes)
            camera = Camera(fx, fy, cx, cy, width, height)
        camera.check(name)
        pose = _matrix(row[outer], name)
        cameras[number] = MountedCamera(BrownLens(camera, *bends), pose @ _OPENCV_TO_WAYMO)
    return cameras


def read_frames(split: Path, segment: str) -> Iterator[tuple[int, Frame | BadInput]]:
    """The frames, in the order in which the lidar's file has them.

    Yields:
        The time, microseconds, and the frame, or what is wrong where its parts do not fit together.
    """
    to_vehicle, inclinations, bounds = _read_lidar(split, segment)
    poses = _read_poses(split, segment)
    kinds = {
        "lidar": "LiDARComponent",
        "lidar_camera_projection": "LiDARCameraProjectionComponent",
        "lidar_pose": "LiDARPoseComponent",
    }
    ranges, pixels, moves = (
        _Arrays(file(split, component, segment), f"[{kind}]{_RETURN}")
        for component, kind in kinds.items()
    )
    for time, image in ranges:
        try:
            if time not in poses:
                raise BadInput(f"{segment}: the car has no pose at {time}; fetch it anew.")
            image = _sound(image)
            rows = inclinations or uniform_inclinations(*bounds, len(image))
            with well_formed(f"{segment}: the range image at {time}"):
                parts = image[..., 0], rows, to_vehicle, moves.at(time), poses[time]
                points, valid = vehicle_points(*parts)
                frame = Frame(poses[time], points, pixels.at(time)[valid])
        except BadInput as error:
            yield time, error
        else:
            yield time, frame


def _read_lidar(split: Path, segment: str) -> tuple[np.ndarray, list[float], list[float]]:
    """The top lidar: pose in the car's frame, inclinations of its rows or none, their bounds."""
    path = file(split, "lidar_calibration", segment)
    part = "[LiDARCalibrationComponent]"
    outer = f"{part}.extrinsic.transform"
    bounds = [f"{part}.beam_inclination.{name}" for name in ("min", "max")]
    values = f"{part}.beam_inclination.values"
    for row in _rows(path, [_LASER, outer, *bounds, values]):
        if row[_LASER].as_py() == _TOP:
            pose = _matrix(row[outer], f"{path}, top lidar")
            return pose, row[values].as_py() or [], [row[key].as_py() for key in bounds]
    raise BadInput(f"{path} has no top lidar; fetch it anew.")


def _read_poses(split: Path, segment: str) -> dict[int, np.ndarray]:
    path = file(split, "vehicle_pose", segment)
    column = "[VehiclePoseComponent].world_from_vehicle.transform"
    rows = _rows(path, [_TIME, column])
    return {row[_TIME].as_py(): _matrix(row[column], f"{path}, a pose") for row in rows}


class _Arrays:
    """Arrays of the top lidar by their times; few are kept where all files have one order.

    One that is damaged is given as what is wrong with it.
    """

    def __init__(self, path: Path, column: str):
        self._path, self._column = path, column
        self._rows = self._read()
        self._waiting: dict[int, np.ndarray | BadInput] = {}

    def __iter__(self) -> Iterator[tuple[int, np.ndarray | BadInput]]:
        return self._rows

    def at(self, time: int) -> np.ndarray:
        """The array of a time; raises BadInput where it is damaged or not there."""
        while time not in self._waiting:
            found = next(self._rows, None)
            if found is None:
                raise BadInput(f"{self._path} has no row of {time}; fetch it anew.")
            self._waiting[found[0]] = found[1]
        return _sound(self._waiting.pop(time))

    def _read(self) -> Iterator[tuple[int, np.ndarray | BadInput]]:
        values, shape = f"{self._column}.values", f"{self._column}.shape"
        for row in _rows(self._path, [_TIME, _LASER, values, shape]):
            if row[_LASER].as_py() == _TOP:
                time = row[_TIME].as_py()
                try:
                    with well_formed(f"{self._path}, {time}"):
                        flat = row[values].values.to_numpy(zero_copy_only=False)
                        array = flat.reshape(row[shape].as_py())
                except BadInput as error:
                    yield time, error
                else:
                    yield time, array


def _sound(array: np.ndarray | BadInput) -> np.ndarray:
    if isinstance(array, BadInput):
        raise array
    return array


def _rows(path: Path, columns: list[str]) -> Iterator[dict[str, Any]]:
    """The rows of a file one by one, as Arrow scalars: a whole file may not fit into memory."""
    with well_formed(str(path)), pq.ParquetFile(path) as parquet:
        if missing := set(columns) - set(parquet.schema_arrow.names):
            raise BadInput(f"{path} has no column {sorted(missing)[0]}; fetch it anew.")
        for batch in parquet.iter_batches(batch_size=8, columns=columns):
            for index in range(batch.num_rows):
                yield {name: batch.column(name)[index] for name in columns}


def _matrix(scalar: Any, name: str) -> np.ndarray:
    with well_formed(name):
        matrix = np.array(scalar.as_py(), np.float64).reshape(4, 4)
    check_rigid(matrix, name)
    return matrix
