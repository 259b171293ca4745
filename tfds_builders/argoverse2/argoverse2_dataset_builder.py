"""Argoverse 2 Sensor: seven ring cameras around a car, labelled by its lidars."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from tfds_builders import base, checks, schema
from tfds_builders.argoverse2 import log as logs
from tfds_builders.items import Bad, Item, attempt
from tfds_builders.lidar import Labelling, LidarConfig, point_labels, transform
from vlm3_jax.errors import BadInput

_SPLITS = {"train": "train", "validation": "val", "test": "test"}


class Builder(base.Builder):
    """Builder of argoverse2."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar = {"1.0.0": "First release."}
    HOMEPAGE = "https://www.argoverse.org/av2.html"
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Give the folder of the Argoverse 2 Sensor dataset that holds train, val or test, each with"
        " the folders of its logs."
    )
    BUILDER_CONFIGS: ClassVar = [
        LidarConfig(
            name="release_faithful",
            description="Whole pixels, hidden points too, as DepthLM curates them.",
            labelling=Labelling("euclid", pixels=np.rint, overlap="all"),
        ),
        LidarConfig(
            name="corrected",
            description="Exact positions, the nearest point on each pixel.",
            labelling=Labelling("euclid"),
        ),
    ]

    def features(self) -> dict[str, Any]:
        """Depth records."""
        return schema.depth_features()

    def items(self, raw: Path) -> dict[str, list[Item | Bad]]:
        """One a sweep, with the images nearest to it."""
        found = {split: raw / name for split, name in _SPLITS.items() if (raw / name).is_dir()}
        if not found:
            checks.needed(raw, "train", builder="argoverse2")
        return {
            split: [
                item for log in sorted(folder.iterdir()) if log.is_dir() for item in _sweeps(log)
            ]
            for split, folder in found.items()
        }

    def examples(self, raw: Path, item: Item) -> Iterator[dict[str, Any] | Bad]:
        """The images nearest to the sweep."""
        place, sweep = item.data
        log = raw / place
        poses, cameras, mountings = (
            logs.read_car(log),
            logs.read_cameras(log),
            logs.read_mountings(log),
        )
        name = f"{place}: the car's pose at {sweep.timestamp_ns}"
        city = transform(
            logs.pose(poses, sweep.timestamp_ns, name), logs.read_points(log, sweep.timestamp_ns)
        )
        for camera, time in sweep.images:
            key = f"{log.name}/{camera}_{time}"
            yield attempt(key, self._example, log, camera, time, (poses, cameras, mountings), city)

    def _example(self, log: Path, name: str, time: int, tables, city: np.ndarray) -> dict[str, Any]:
        poses, cameras, mountings = tables
        key = f"{log.name}/{name}_{time}"
        if name not in cameras:
            raise BadInput(f"{log}/calibration/intrinsics.feather has no {name}; fetch it anew.")
        camera = cameras[name]
        camera.check(f"{log}/calibration/intrinsics.feather, {name}")
        car = logs.pose(poses, time, f"{key}: the car's pose at its time")
        c2w = car @ logs.pose(mountings, name, f"{key}: the mounting of {name}")
        path = log / "sensors" / "cameras" / name / f"{time}.jpg"
        points = transform(np.linalg.inv(c2w), city)
        return point_labels(points, camera, self.builder_config.labelling, key) | {
            "image": checks.read_image(path, f"{key}: {path}", camera),
            "intrinsics": camera.to_array(),
            "c2w": c2w,
            "scale_type": "metric",
            "dataset": "argoverse2",
            "scene": log.name,
            "frame": f"{name}_{time}",
        }


def _sweeps(log: Path) -> Iterator[Item | Bad]:
    place = f"{log.parent.name}/{log.name}"
    if not (log / "sensors").is_dir():
        yield Bad(log.name, f"{log}/sensors is missing; fetch it anew or leave the log out.")
        return
    try:
        sweeps, alone = logs.match(log)
    except BadInput as error:
        yield Bad(log.name, str(error))
        return
    for sweep in sweeps:
        key = f"{log.name}/{sweep.timestamp_ns}"
        yield Item(key, (place, sweep), len(sweep.images))
    for camera, time in alone:
        key = f"{log.name}/{camera}_{time}"
        yield Bad(key, f"{key}: no sweep is within 51 ms of it; leave it out.")
