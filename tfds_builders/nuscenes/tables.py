"""nuScenes' relational tables: JSON lists of rows that name each other by tokens."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfds_builders.items import Bad
from tfds_builders.well_formed import read_json, well_formed
from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.quaternion import pose_from_wxyz

TABLES = ("scene", "sample", "sample_data", "sensor", "calibrated_sensor", "ego_pose")
_POINT_BYTES = 5 * 4  # x, y, z, intensity, ring.


@dataclass(frozen=True)
class Placement:
    """A frame within another: quaternion w, x, y, z and translation in metres."""

    wxyz: list[float]
    translation: list[float]

    def matrix(self, name: str) -> np.ndarray:
        """Takes the inner frame into the outer one, float64 [4, 4]; `name` is for errors."""
        return pose_from_wxyz(self.wxyz, self.translation, name)


@dataclass(frozen=True)
class Shot:
    """What one sensor measured for a key frame.

    Attributes:
        channel: the sensor's, for example CAM_FRONT.
        file: relative to the data's root.
        size: width and height of an image, 0 of a sweep.
        intrinsic: calibration matrix of a camera, empty for a lidar.
        sensor_to_ego: where the sensor is mounted.
        ego_to_global: where the car was at the time.
    """

    channel: str
    file: str
    size: tuple[int, int]
    intrinsic: list[list[float]]
    sensor_to_ego: Placement
    ego_to_global: Placement


@dataclass(frozen=True)
class Sample:
    """A key frame: its scene's name and what each sensor measured, by channel."""

    scene: str
    token: str
    shots: dict[str, Shot]


def samples(folder: Path, channels: tuple[str, ...]) -> Iterator[Sample | Bad]:
    """Joins the tables: the key frames in the order of their table.

    Args:
        folder: of one version's tables.
        channels: sensors that each sample must have.

    Raises:
        BadInput: a table is missing or damaged.
    """
    tables = {name: _rows(folder / f"{name}.json") for name in TABLES}
    shots: dict[str, list[dict]] = {}
    with well_formed(str(folder / "sample_data.json")):
        for row in tables["sample_data"].values():
            if row["is_key_frame"]:
                shots.setdefault(row["sample_token"], []).append(row)
    for token, row in tables["sample"].items():
        try:
            yield _sample(tables, row, shots.get(token, []), channels, f"{folder}, sample {token}")
        except BadInput as error:
            yield Bad(token, str(error), len(channels) - 1)


def read_sweep(path: Path) -> np.ndarray:
    """The points of a sweep in the lidar's frame, metres, float32 [N, 3]."""
    with well_formed(str(path)):
        data = path.read_bytes()
    if not data or len(data) % _POINT_BYTES:
        raise BadInput(
            f"{path} has {len(data)} bytes, which is no whole number of points of {_POINT_BYTES};"
            " fetch it anew."
        )
    return np.frombuffer(data, "<f4").reshape(-1, 5)[:, :3]


def _rows(path: Path) -> dict[str, dict[str, Any]]:
    rows = read_json(path)
    with well_formed(str(path)):
        return {row["token"]: row for row in rows}


def _sample(tables, row, shots, channels: tuple[str, ...], name: str) -> Sample:
    with well_formed(name):
        scene = tables["scene"][row["scene_token"]]["name"]
        found = [_shot(tables, shot) for shot in shots]
    known = {shot.channel: shot for shot in found if shot.channel in channels}
    if missing := [channel for channel in channels if channel not in known]:
        raise BadInput(f"{name} has no {' and no '.join(missing)}; fetch the tables anew.")
    return Sample(scene, row["token"], known)


def _shot(tables, row: dict[str, Any]) -> Shot:
    mounted = tables["calibrated_sensor"][row["calibrated_sensor_token"]]
    ego = tables["ego_pose"][row["ego_pose_token"]]
    return Shot(
        channel=tables["sensor"][mounted["sensor_token"]]["channel"],
        file=row["filename"],
        size=(int(row["width"] or 0), int(row["height"] or 0)),
        intrinsic=mounted["camera_intrinsic"],
        sensor_to_ego=Placement(mounted["rotation"], mounted["translation"]),
        ego_to_global=Placement(ego["rotation"], ego["translation"]),
    )
