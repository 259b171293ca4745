"""Waymo Open Dataset, Perception 2.0.1: five cameras of a car, labelled by its top lidar."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from tfds_builders import base, checks, schema
from tfds_builders.items import Bad, Item, attempt
from tfds_builders.labels import POINTS
from tfds_builders.lidar import draw, transform
from tfds_builders.rectify import jpeg, sample_image, source_map
from tfds_builders.waymo import segment as segments
from tfds_builders.waymo.segment import CAMERAS, Frame, MountedCamera
from vlm3_jax.data.images import decode
from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.camera import Camera, project

_SPLITS = {"train": "training", "validation": "validation", "test": "testing"}


@dataclasses.dataclass
class WaymoConfig(tfds.core.BuilderConfig):
    """A config and whether it carries points to the undistorted image as the release does."""

    as_released: bool = False


@dataclasses.dataclass(frozen=True, eq=False)
class View:
    """A camera of a segment with its pinhole counterpart.

    Attributes:
        mounted: the camera.
        pinhole: the camera of the undistorted images.
        source: where in the raw image the undistorted one's pixels lie, [H, W, 2].
    """

    mounted: MountedCamera
    pinhole: Camera
    source: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Labels:
    """Labels of an image, and its camera's pose in the world."""

    points_xy: np.ndarray
    depth_m: np.ndarray
    c2w: np.ndarray


class Builder(base.Builder):
    """Builder of waymo."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar = {"1.0.0": "First release."}
    HOMEPAGE = "https://waymo.com/open"
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Give the folder of the Waymo Open Dataset 2.0.1 that holds training, validation or"
        f" testing, each with {', '.join(segments.COMPONENTS)}."
    )
    BUILDER_CONFIGS: ClassVar = [
        WaymoConfig(
            name="release_faithful",
            description="Points carried by the map of the wrong direction, as DepthLM does.",
            as_released=True,
        ),
        WaymoConfig(name="corrected", description="Points carried by inverting the lens."),
    ]

    def features(self) -> dict[str, Any]:
        """Depth records."""
        return schema.depth_features()

    def items(self, raw: Path) -> dict[str, list[Item | Bad]]:
        """One a segment, whose files are read from front to back."""
        found = {split: raw / name for split, name in _SPLITS.items() if (raw / name).is_dir()}
        if not found:
            checks.needed(raw, _SPLITS["train"], builder="waymo")
        splits = {}
        for split, folder in found.items():
            checks.needed(
                raw, *(f"{folder.name}/{x}" for x in segments.COMPONENTS), builder="waymo"
            )
            names = sorted(path.stem for path in folder.glob("camera_image/*.parquet"))
            splits[split] = [_item(folder, name) for name in names]
        return splits

    def examples(self, raw: Path, item: Item) -> Iterator[dict[str, Any] | Bad]:
        """The images of the segment."""
        split, name = raw / item.data, item.key
        views = {n: _view(camera) for n, camera in segments.read_cameras(split, name).items()}
        labels = {}
        for time, frame in segments.read_frames(split, name):
            for number, view in views.items():
                key = _key(name, time, number)
                is_bad = isinstance(frame, BadInput)
                labels[key] = frame if is_bad else self._labels(frame, number, view, key)
        for time, number, image in segments.read_images(split, name):
            key = _key(name, time, number)
            yield attempt(key, _example, key, image, views.get(number), labels.get(key))

    def _labels(self, frame: Frame, number: int, view: View, key: str) -> Labels | BadInput:
        lens, pinhole = view.mounted.lens, view.pinhole
        xy, points = frame.on(number)
        xyz = transform(np.linalg.inv(view.mounted.to_vehicle), points)
        xy, distance = _nearest(xy, np.linalg.norm(xyz, axis=-1), lens.camera)
        if self.builder_config.as_released:
            chosen = draw(key, len(xy), 2 * POINTS)
            xy, distance = xy[chosen], distance[chosen]
            carried = np.trunc(view.source[xy[:, 1], xy[:, 0]])
        else:
            rays = lens.straighten(xy)
            carried, _ = project(pinhole, np.concatenate([rays, np.ones((len(rays), 1))], axis=-1))
        inside = ((carried >= 0) & (carried <= [pinhole.width - 1, pinhole.height - 1])).all(-1)
        carried, distance = carried[inside], distance[inside]
        if not len(carried):
            return BadInput(f"{key}: no point of the lidar is in view; leave the image out.")
        chosen = slice(POINTS) if self.builder_config.as_released else draw(key, len(carried))
        return Labels(
            carried[chosen].astype(np.float32),
            distance[chosen].astype(np.float32),
            frame.to_world @ view.mounted.to_vehicle,
        )


def _example(key: str, image: bytes, view: View | None, labels: Any) -> dict[str, Any]:
    if view is None:
        raise BadInput(f"{key}: its camera has no calibration; fetch the segment anew.")
    if labels is None:
        raise BadInput(f"{key}: the lidar has no frame of its time; leave the image out.")
    if isinstance(labels, BadInput):
        raise labels
    pixels, raw = decode(image, key), view.mounted.lens.camera
    if pixels.shape[:2] != (raw.height, raw.width):
        raise BadInput(
            f"{key} is {pixels.shape[1]}x{pixels.shape[0]}, but its intrinsics are of a"
            f" {raw.width}x{raw.height} image; fetch the segment anew."
        )
    scene, frame = key.split("/")
    return {
        "image": jpeg(sample_image(pixels, view.source)),
        "intrinsics": view.pinhole.to_array(),
        "c2w": labels.c2w,
        "points_xy": labels.points_xy,
        "depth_m": labels.depth_m,
        "label_kind": "euclid",
        "scale_type": "metric",
        "dataset": "waymo",
        "scene": scene,
        "frame": frame,
    }


def _item(folder: Path, name: str) -> Item | Bad:
    for component in segments.COMPONENTS:
        path = segments.file(folder, component, name)
        if not path.exists():
            return Bad(name, f"{path} is missing; fetch it.")
    try:
        return Item(name, folder.name, max(1, segments.num_images(folder, name)))
    except BadInput as error:
        return Bad(name, str(error))


def _key(segment: str, time: int, number: int) -> str:
    return f"{segment}/{time}_{CAMERAS.get(number, number)}"


def _view(mounted: MountedCamera) -> View:
    raw = mounted.lens.camera
    pinhole = Camera(raw.fx, raw.fy, raw.width / 2, raw.height / 2, raw.width, raw.height)
    return View(mounted, pinhole, source_map(mounted.lens.bend, pinhole))


def _nearest(xy: np.ndarray, distance: np.ndarray, camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """Of points [N, 2] on one pixel keeps the nearest; none outside the image or without distance.

    Waymo's camera depth image, as a list in the order of its pixels.
    """
    inside = ((xy >= 0) & (xy < [camera.width, camera.height])).all(-1) & (distance > 0)
    xy, distance = xy[inside], distance[inside]
    order = np.argsort(distance, kind="stable")
    _, first = np.unique((xy[:, 1] * camera.width + xy[:, 0])[order], return_index=True)
    return xy[order[first]], distance[order[first]]
