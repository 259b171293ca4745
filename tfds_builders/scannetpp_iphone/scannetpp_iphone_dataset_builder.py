"""ScanNet++, the iPhone's videos: frames of indoor scenes labelled by the phone's own lidar."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from tfds_builders import base, checks, schema
from tfds_builders.items import Bad, Item, attempt
from tfds_builders.labels import draw_pixels
from tfds_builders.matrices import camera_of_matrix
from tfds_builders.raw_files import image_size, read_mask
from tfds_builders.scannetpp_iphone.depth_bin import Frame, read_frames
from tfds_builders.scannetpp_scenes import splits
from tfds_builders.well_formed import read_json, well_formed
from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.camera import Camera, euclid_from_z, unproject
from vlm3_jax.geometry.intrinsics import rescale
from vlm3_jax.geometry.pose import check_rigid

_STEP = 10
_VIDEO_SIZE = 1920, 1440  # Of the images that pose_intrinsic_imu.json is about.
_RELEASED_FOCAL, _RELEASED_CENTRE = 1427.4375, (959.5, 719.5)


@dataclasses.dataclass
class IphoneConfig(tfds.core.BuilderConfig):
    """A config and whether it keeps the release's intrinsics and its formula of the range."""

    as_released: bool = False


class Builder(base.Builder):
    """Builder of scannetpp_iphone."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar = {"1.0.0": "First release."}
    HOMEPAGE = "https://scannetpp.mlsg.cit.tum.de/scannetpp"
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Give the data root of ScanNet++ with data/SCENE/iphone/{depth.bin,"
        "pose_intrinsic_imu.json} and the frames rgb/*.jpg, rgb_masks/*.png extracted there."
    )
    BUILDER_CONFIGS: ClassVar = [
        IphoneConfig(
            name="release_faithful",
            description="One camera for all, ranges as DepthLM computes them.",
            as_released=True,
        ),
        IphoneConfig(
            name="corrected",
            description="Each frame's own camera, true distances of pixels with depth.",
        ),
    ]

    def features(self) -> dict[str, Any]:
        """Depth records."""
        return schema.depth_features()

    def items(self, raw: Path) -> dict[str, list[Item | Bad]]:
        """One a scene, whose depth maps are in one file."""
        checks.needed(raw, "data/*/iphone", builder="scannetpp_iphone")
        scenes = [folder.parent.name for folder in raw.glob("data/*/iphone")]
        return {split: [_item(raw, scene) for scene in of] for split, of in splits(scenes).items()}

    def examples(self, raw: Path, item: Item) -> Iterator[dict[str, Any] | Bad]:
        """The frames of the scene."""
        folder = raw / "data" / item.key / "iphone"
        poses = read_json(folder / "pose_intrinsic_imu.json")
        numbers = _numbers(folder)
        for number, frame in zip(numbers, read_frames(folder / "depth.bin", numbers), strict=True):
            name = f"frame_{number:06d}"
            yield attempt(f"{item.key}/{name}", self._example, folder, name, poses, frame)

    def _example(self, folder: Path, name: str, poses: Any, frame: Frame) -> dict[str, Any]:
        scene = folder.parent.name
        key = f"{scene}/{name}"
        path = folder / "rgb" / f"{name}.jpg"
        image = checks.read_image(path, f"{key}: {path}")
        size = image_size(image)
        with well_formed(f"{folder}/pose_intrinsic_imu.json, {name}"):
            c2w = np.asarray(poses[name]["aligned_pose"], np.float64).reshape(4, 4)
            matrix = poses[name]["intrinsic"]
        check_rigid(c2w, f"{key}: its aligned_pose")
        mask = read_mask(folder / "rgb_masks" / f"{name}.png")
        if mask.shape[::-1] != size:
            raise BadInput(f"{key}: its mask is {mask.shape[::-1]}, its image {size}; scale both.")
        depth = frame.depth()
        checks.check_depths(depth, frame.name)
        if self.builder_config.as_released:
            camera = _released_camera(*size)
            points, label = _released_labels(depth, mask, camera, key)
        else:
            camera = rescale(camera_of_matrix(matrix, *_VIDEO_SIZE, key), *size)
            points, label = _labels(depth, mask, camera, key)
        return {
            "image": image,
            "intrinsics": camera.to_array(),
            "c2w": c2w,
            "points_xy": points.astype(np.float32),
            "depth_m": label.astype(np.float32),
            "label_kind": "euclid",
            "scale_type": "metric",
            "dataset": "scannetpp_iphone",
            "scene": scene,
            "frame": name,
        }


def _item(raw: Path, scene: str) -> Item | Bad:
    folder = raw / "data" / scene / "iphone"
    for file in ("rgb", "rgb_masks", "depth.bin", "pose_intrinsic_imu.json"):
        if not (folder / file).exists():
            return Bad(scene, f"{folder / file} is missing; fetch or extract it.")
    try:
        numbers = _numbers(folder)
        checks.not_empty(numbers, f"the frames {folder}/rgb/frame_*.jpg")
    except BadInput as error:
        return Bad(scene, str(error))
    return Item(scene, records=len(numbers))


def _numbers(folder: Path) -> list[int]:
    with well_formed(f"{folder}/rgb"):
        numbers = sorted(int(path.stem.split("_")[1]) for path in folder.glob("rgb/frame_*.jpg"))
    return [number for number in numbers if number % _STEP == 0]


def _labels(
    depth: np.ndarray, mask: np.ndarray, camera: Camera, key: str
) -> tuple[np.ndarray, np.ndarray]:
    """Positions and distances at the centres of depth pixels."""
    scale = np.array([camera.width, camera.height]) / depth.shape[::-1]
    x, y = np.meshgrid(*(np.arange(size) for size in depth.shape[::-1]))
    centres = (np.stack([x, y], axis=-1) + 0.5) * scale - 0.5
    last = [camera.width - 1, camera.height - 1]
    inside = ((centres >= 0) & (centres <= last)).all(-1)
    column, row = np.rint(np.clip(centres, 0, last)).astype(np.int64).transpose(2, 0, 1)
    chosen = draw_pixels((depth > 0) & inside & mask[row, column], key)
    points = centres[chosen[:, 1], chosen[:, 0]]
    return points, euclid_from_z(camera, points, depth[chosen[:, 1], chosen[:, 0]])


def _released_camera(width: int, height: int) -> Camera:
    scale = np.array([width, height]) / _VIDEO_SIZE
    (fx, fy), (cx, cy) = _RELEASED_FOCAL * scale, _RELEASED_CENTRE * scale
    return Camera(fx, fy, cx, cy, width, height)


def _released_labels(
    depth: np.ndarray, mask: np.ndarray, camera: Camera, key: str
) -> tuple[np.ndarray, np.ndarray]:
    """As DepthLM's curate_scannet.py computes them."""
    points = draw_pixels(mask, key)
    rows, columns = (
        (points[:, axis] * (depth.shape[1 - axis] / size)).astype(np.int64)
        for axis, size in ((1, camera.height), (0, camera.width))
    )
    rays = unproject(camera, points, np.ones(len(points)))[:, :2]
    return points, np.sqrt((rays**2).sum(-1) + depth[rows, columns] ** 2)
