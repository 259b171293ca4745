"""nuScenes: key frames of six cameras around a car, labelled by its lidar."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from tfds_builders import base, checks, schema
from tfds_builders.items import Bad, Item, attempt
from tfds_builders.lidar import Labelling, LidarConfig, point_labels, transform
from tfds_builders.matrices import camera_of_matrix
from tfds_builders.nuscenes.tables import TABLES, Sample, Shot, read_sweep, samples

CAMERAS = (
    *("CAM_FRONT", "CAM_FRONT_RIGHT", "CAM_BACK_RIGHT"),
    *("CAM_BACK", "CAM_BACK_LEFT", "CAM_FRONT_LEFT"),
)
LIDAR = "LIDAR_TOP"
# Scenes of v1.0-mini, which DepthLM leaves out of its training set.
MINI_SCENES = frozenset(
    f"scene-{number:04d}" for number in (61, 103, 553, 655, 757, 796, 916, 1077, 1094, 1100)
)
_VERSIONS = {"train": "v1.0-trainval", "test": "v1.0-mini"}
_TEST_SHARE = 0.05


@dataclasses.dataclass
class NuScenesConfig(LidarConfig):
    """A config and whether it accounts for the car's motion between sweep and image."""

    moves: bool = True


class Builder(base.Builder):
    """Builder of nuscenes."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar = {"1.0.0": "First release."}
    HOMEPAGE = "https://www.nuscenes.org"
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Give the folder with nuScenes' samples/ and the tables v1.0-trainval/*.json,"
        " v1.0-mini/*.json, or both."
    )
    BUILDER_CONFIGS: ClassVar = [
        NuScenesConfig(
            name="release_faithful",
            description="Whole pixels, no account of the car's motion, as DepthLM curates them.",
            labelling=Labelling("z", pixels=np.floor),
            moves=False,
        ),
        NuScenesConfig(
            name="corrected",
            description="Exact positions, through the car's poses at both times.",
            labelling=Labelling("z"),
        ),
    ]

    def features(self) -> dict[str, Any]:
        """Depth records."""
        return schema.depth_features()

    def items(self, raw: Path) -> dict[str, list[Item | Bad]]:
        """One a sample: six images and a sweep."""
        checks.needed(raw, "v1.0-*", "samples", builder="nuscenes")
        found = {split: raw / name for split, name in _VERSIONS.items() if (raw / name).is_dir()}
        if not found:
            checks.needed(raw, _VERSIONS["train"], builder="nuscenes")
        splits = {}
        for split, folder in found.items():
            tables = (f"{folder.name}/{table}.json" for table in TABLES)
            checks.needed(raw, *tables, builder="nuscenes")
            entries = list(samples(folder, (*CAMERAS, LIDAR)))
            if split == "test":
                entries = entries[int(len(entries) * (1 - _TEST_SHARE)) :]
            else:
                entries = [x for x in entries if isinstance(x, Bad) or x.scene not in MINI_SCENES]
            splits[split] = [x if isinstance(x, Bad) else _item(x) for x in entries]
        return splits

    def examples(self, raw: Path, item: Item) -> Iterator[dict[str, Any] | Bad]:
        """The images of the sample."""
        sample: Sample = item.data
        lidar = sample.shots[LIDAR]
        points = transform(
            lidar.sensor_to_ego.matrix(f"{item.key}: the mounting of {LIDAR}"),
            read_sweep(checks.inside(raw, lidar.file, item.key)),
        )
        if self.builder_config.moves:
            points = transform(lidar.ego_to_global.matrix(f"{item.key}: the sweep's pose"), points)
        for channel in CAMERAS:
            shot = sample.shots[channel]
            key = f"{sample.scene}/{Path(shot.file).stem}"
            yield attempt(key, self._example, raw, shot, points, key)

    def _example(self, raw: Path, shot: Shot, points: np.ndarray, key: str) -> dict[str, Any]:
        camera = camera_of_matrix(shot.intrinsic, *shot.size, f"{key}: its camera_intrinsic")
        mounted = shot.sensor_to_ego.matrix(f"{key}: the mounting of {shot.channel}")
        c2w = shot.ego_to_global.matrix(f"{key}: its pose") @ mounted
        from_points = np.linalg.inv(c2w if self.builder_config.moves else mounted)
        labels = point_labels(
            transform(from_points, points), camera, self.builder_config.labelling, key
        )
        scene, frame = key.split("/")
        path = checks.inside(raw, shot.file, key)
        return labels | {
            "image": checks.read_image(path, f"{key}: {path}", camera),
            "intrinsics": camera.to_array(),
            "c2w": c2w,
            "scale_type": "metric",
            "dataset": "nuscenes",
            "scene": scene,
            "frame": frame,
        }


def _item(sample: Sample) -> Item:
    return Item(f"{sample.scene}/{sample.token}", sample, len(CAMERAS))
