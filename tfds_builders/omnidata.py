"""Reads the layout in which Omnidata gives Taskonomy, HM3D and others (EPFL-VILAB/omnidata).

Files are TASK/COMPONENT/BUILDING/point_P_view_V_domain_SUFFIX; the suffix is not always the task.
"""

import csv
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from tfds_builders import checks
from tfds_builders.items import Bad, Item, attempt
from tfds_builders.labels import draw_pixels
from tfds_builders.raw_files import image_size, read_mask, read_uint16
from tfds_builders.scene_splits import split_items
from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.camera import Camera
from vlm3_jax.geometry.intrinsics import from_fov
from vlm3_jax.geometry.pose import check_rigid

TASKS = "rgb", "depth_euclidean", "mask_valid", "point_info"
STEPS_PER_METRE = 512
INVALID = 65535
_SPLITS = {"train": "train", "validation": "val", "test": "test"}
_FILE = re.compile(r"(point_\d+_view_\d+)_domain_\w+\.(png|json)")
# A building has some 8,000 views: cut into several items, an interruption costs less of it.
_VIEWS_PER_ITEM = 500


@dataclass(frozen=True)
class Component:
    """A part of Omnidata.

    Attributes:
        name: of its builder, and of its folder in each task's.
        splits: file in --manual_dir with columns id, train, val, test.
    """

    name: str
    splits: str

    def items(self, raw: Path) -> dict[str, list[Item | Bad]]:
        """Up to 500 views of a building an item."""
        folders = (f"{task}/{self.name}" for task in TASKS)
        path = checks.needed(raw, self.splits, *folders, builder=self.name)
        rgb = raw / "rgb" / self.name
        buildings = sorted(folder.name for folder in rgb.iterdir() if folder.is_dir())

        def make(building: str) -> list[Item | Bad]:
            count = len(_files(rgb / building))
            if not count:
                return [Bad(building, f"{rgb / building} holds no images; fetch them anew.")]
            starts = range(0, count, _VIEWS_PER_ITEM)
            return [
                Item(f"{building}/{start}", records=min(_VIEWS_PER_ITEM, count - start))
                for start in starts
            ]

        return split_items(buildings, _split_of(path), self.splits, make)

    def examples(self, raw: Path, item: Item) -> Iterator[dict[str, Any] | Bad]:
        """The views with points of their depth maps."""
        building, _, start = item.key.partition("/")
        files = {task: _files(raw / task / self.name / building) for task in TASKS}
        for frame in sorted(files["rgb"])[int(start) :][:_VIEWS_PER_ITEM]:
            paths = {task: files[task].get(frame) for task in TASKS}
            names = {"dataset": self.name, "scene": building, "frame": frame}
            yield attempt(f"{building}/{frame}", _example, paths, names)


def _files(folder: Path) -> dict[str, Path]:
    """Files of a building by their views, point_P_view_V."""
    found = ((_FILE.fullmatch(path.name), path) for path in folder.iterdir())
    return {match[1]: path for match, path in found if match}


def _split_of(path: Path) -> dict[str, str]:
    """The split of each building."""
    try:
        with path.open(newline=None) as file:
            rows = list(csv.DictReader(file))
        return {
            row["id"]: split
            for row in rows
            for split, column in _SPLITS.items()
            if int(row[column])
        }
    except (KeyError, ValueError, TypeError, csv.Error) as error:
        raise BadInput(
            f"{path} is no table id, train, val, test ({error!r}); fetch it anew."
        ) from error


def _example(paths: dict[str, Path | None], names: dict[str, str]) -> dict[str, Any]:
    key = f"{names['scene']}/{names['frame']}"
    for task, path in paths.items():
        if path is None:
            raise BadInput(f"{key} has no file of {task}; fetch it, or take the view's image out.")
    image = checks.read_image(paths["rgb"], str(paths["rgb"]))
    camera, c2w = _camera(paths["point_info"], *image_size(image))
    steps = read_uint16(paths["depth_euclidean"])
    valid = read_mask(paths["mask_valid"])
    if valid.shape != steps.shape:
        raise BadInput(f"{paths['mask_valid']} is not of its depth map's size; fetch both anew.")
    depth = np.where(valid & (steps != INVALID), steps / STEPS_PER_METRE, 0)
    checks.check_depth_map(depth, camera, str(paths["depth_euclidean"]))
    points = draw_pixels(depth > 0, key)
    return {
        "image": image,
        "intrinsics": camera.to_array(),
        "c2w": c2w,
        "points_xy": points.astype(np.float32),
        "depth_m": depth[points[:, 1], points[:, 0]].astype(np.float32),
        "label_kind": "euclid",
        "scale_type": "metric",
        **names,
    }


def _camera(path: Path, width: int, height: int) -> tuple[Camera, np.ndarray]:
    """Intrinsics and pose that a point_info file tells."""
    try:
        info = json.loads(path.read_bytes())
        degrees = float(np.degrees(info["field_of_view_rads"]))
        c2w = _from_blender(info["camera_location"], info["camera_rotation_final"])
        camera = from_fov(degrees, width, height)
        check_rigid(c2w, "its pose")
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(
            f"{path} has no field_of_view_rads, camera_location and camera_rotation_final that can"
            f" be used ({error!r}); fetch it anew."
        ) from error
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from error
    return camera, c2w


def _from_blender(location: list[float], euler: list[float]) -> np.ndarray:
    """Camera-to-world pose, OpenCV axes, of a camera in Blender.

    Args:
        location: of its centre, metres.
        euler: radians about the world's x, then y, then z axis; the camera looks along -z, y up.
    """
    c2w = np.eye(4)
    c2w[:3, :3] = Rotation.from_euler("xyz", euler).as_matrix() @ np.diag([1, -1, -1])
    c2w[:3, 3] = location
    return c2w
