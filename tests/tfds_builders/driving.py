"""Sweeps of a lidar, cameras on a car and poses, of scenes that are known."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from tests.tfds_builders.known_geometry import KnownView, known_view, to_world
from tfds_builders.build import build
from tfds_builders.items import MaxBad
from vlm3_jax.data.records import DepthRecord
from vlm3_jax.data.sources import open_source
from vlm3_jax.geometry.camera import Camera, unproject

CAMERA = Camera(fx=110.0, fy=112.0, cx=46.0, cy=31.5, width=96, height=64)
"""Its field of view is below 60 degrees."""
BEHIND = 1.4
"""How much farther away than what hides it a hidden point is."""


def ring(scene: str, number: int, count: int) -> list[KnownView]:
    """Views of cameras in one place around a car that do not overlap; each has its own focal."""
    cameras = [dataclasses.replace(CAMERA, fx=CAMERA.fx + i) for i in range(count)]
    return [known_view(scene, number, camera, 60 * i) for i, camera in enumerate(cameras)]


def sweep(views: list[KnownView]) -> np.ndarray:
    """What a lidar measures for all of a ring's cameras, in the world, [N, 3]."""
    return np.vstack([lidar_world(view) for view in views])


def lidar_world(view: KnownView, count: int = 160, hidden: int = 20) -> np.ndarray:
    """Points that the view sees, then `hidden` points behind the first of them, [N, 3]."""
    rng = np.random.default_rng(int(view.frame))
    size = [view.camera.width - 1, view.camera.height - 1]
    xy = rng.uniform([0, 0], size, (count, 2))
    z = view.z_at(xy)
    xy, z = np.vstack([xy, xy[:hidden]]), np.append(z, BEHIND * z[:hidden])
    return to_world(view.camera, view.c2w, xy, z)


def rigid(seed: int, metres: float = 1.0) -> np.ndarray:
    """Some pose."""
    rng = np.random.default_rng(seed)
    pose = np.eye(4)
    pose[:3, :3] = Rotation.random(rng=rng).as_matrix()
    pose[:3, 3] = rng.uniform(-metres, metres, 3)
    return pose


def moved(pose: np.ndarray, metres: float) -> np.ndarray:
    """A pose after some motion forward and a turn of a degree a decimetre."""
    step = np.eye(4)
    step[:3, :3] = Rotation.from_euler("z", 10 * metres, degrees=True).as_matrix()
    step[:3, 3] = metres, 0.2 * metres, 0
    return pose @ step


def wxyz(pose: np.ndarray) -> list[float]:
    """The rotation of a pose as a quaternion."""
    return Rotation.from_matrix(pose[:3, :3]).as_quat(scalar_first=True).tolist()


def into(pose: np.ndarray, xyz: np.ndarray) -> np.ndarray:
    """World points [N, 3] in the frame whose pose is given."""
    return (xyz - pose[:3, 3]) @ pose[:3, :3]


def read_built(
    folder: Path, raw: Path, name: str, splits: list[str], max_bad: str | None = None
) -> dict[str, DepthRecord]:
    """Builds a dataset and reads all of it back by its keys."""
    build(name, folder, raw, overwrite=True, max_bad=MaxBad.parse(max_bad) if max_bad else None)
    records = [record for split in splits for record in open_source(folder, name, split)]
    assert len({record.key for record in records}) == len(records)
    return {record.key: record for record in records}


def reasons(folder: Path, name: str) -> dict[str, str]:
    """Keys and reasons of what a build left out."""
    (report,) = (folder / name).glob("*.bad.jsonl")
    lines = map(json.loads, report.read_text().splitlines())
    return {line["key"]: line["reason"] for line in lines}


def check_labels(record: DepthRecord, view: KnownView, within: float = 0.1) -> None:
    """Checks that a record's labels are the view's visible surface, through all that is stored."""
    assert record.image == view.file()
    np.testing.assert_allclose(record.camera.to_array(), view.camera.to_array(), atol=1e-9)
    error = view.label_error(record.camera, record.c2w, record.points_xy, record.z_m)
    assert error < within, error
    assert len(record.depth_m) == 100


def is_hidden(record: DepthRecord, view: KnownView) -> np.ndarray:
    """Which labels are of points behind the surface, by their depth."""
    return record.z_m > 1.15 * view.z_at(record.points_xy)


def check_kind(record: DepthRecord) -> None:
    """Checks that distances are those of the points at the depths."""
    xyz = unproject(record.camera, record.points_xy, record.z_m)
    if record.label_kind == "euclid":
        np.testing.assert_allclose(np.linalg.norm(xyz, axis=-1), record.depth_m, rtol=1e-6)


def edit(path: Path, change: Callable[[Any], None]) -> None:
    """Changes what a JSON file holds."""
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
