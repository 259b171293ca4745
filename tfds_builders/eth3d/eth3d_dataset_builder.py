"""ETH3D's high-resolution training scenes: undistorted photos with laser-scanned depth."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from tfds_builders import base, checks, schema
from tfds_builders.eth3d.calibration import Calibrated, Lens, read_calibration
from tfds_builders.eth3d.thin_prism import unproject
from tfds_builders.items import Bad, Item, attempt
from tfds_builders.labels import POINTS, draw_pixels
from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.camera import Camera, euclid_from_z, project
from vlm3_jax.geometry.intrinsics import from_corner

NAME = "eth3d"
IMAGES = "images/dslr_images_undistorted"
DEPTHS = "ground_truth_depth/dslr_images"
PARTS = "dslr_calibration_jpg", "dslr_calibration_undistorted", IMAGES, DEPTHS
MARGIN = 10
# Drawn on the distorted photo, whose border the undistorted one may lack.
_CANDIDATES = 10 * POINTS


class Builder(base.Builder):
    """Builder of eth3d."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar = {"1.0.0": "First release."}
    HOMEPAGE = "https://www.eth3d.net/"
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Give a folder into which SCENE_dslr_jpg.7z, SCENE_dslr_undistorted.7z and "
        "SCENE_dslr_depth.7z of the high-resolution training scenes were extracted."
    )
    RECORDS_PER_SHARD = 50  # Some 10 MB each.

    def features(self) -> dict[str, Any]:
        """Depth records."""
        return schema.depth_features()

    def items(self, raw: Path) -> dict[str, list[Item]]:
        """One a scene."""
        checks.needed(raw, *(f"*/{part}" for part in PARTS), builder=NAME)
        scenes = sorted(path for path in raw.iterdir() if path.is_dir())
        counts = [sum(1 for _ in (scene / DEPTHS).glob("*.JPG")) for scene in scenes]
        pairs = zip(scenes, counts, strict=True)
        return {"test": [Item(scene.name, records=max(1, count)) for scene, count in pairs]}

    def examples(self, raw: Path, item: Item) -> Iterator[dict[str, Any] | Bad]:
        """The scene's photos with points of their depth maps."""
        scene = raw / item.key
        photos = read_calibration(scene / PARTS[0])
        undistorted = read_calibration(scene / PARTS[1])
        checks.not_empty(undistorted, f"the images of scene {item.key}")
        for name in sorted(undistorted):
            key = f"{item.key}/{Path(name).stem}"
            yield attempt(key, _example, scene, name, photos.get(name), undistorted[name])


def _example(
    scene: Path, name: str, photo: Calibrated | None, undistorted: Calibrated
) -> dict[str, Any]:
    key = f"{scene.name}/{Path(name).stem}"
    if (
        photo is None
        or photo.lens.model != "THIN_PRISM_FISHEYE"
        or len(photo.lens.parameters) != 12
    ):
        raise BadInput(f"{key} has no THIN_PRISM_FISHEYE camera in {PARTS[0]}; fetch it anew.")
    camera = _pinhole(undistorted.lens, key)
    c2w = undistorted.c2w(key)
    if not np.allclose(c2w, photo.c2w(key), atol=1e-3):
        raise BadInput(f"{key} has two poses, in {PARTS[0]} and {PARTS[1]}; fetch both anew.")
    path = scene / IMAGES / name
    image = checks.read_image(path, str(path), camera)
    points, z = _points(_depth(scene / DEPTHS / name, photo.lens), photo.lens, camera, key)
    return {
        "image": image,
        "intrinsics": camera.to_array(),
        "c2w": c2w,
        "points_xy": points,
        "depth_m": euclid_from_z(camera, points, z).astype(np.float32),
        "label_kind": "euclid",
        "scale_type": "metric",
        "dataset": NAME,
        "scene": scene.name,
        "frame": Path(name).stem,
    }


def _pinhole(lens: Lens, key: str) -> Camera:
    if lens.model != "PINHOLE" or len(lens.parameters) != 4:
        raise BadInput(f"{key} has no PINHOLE camera in {PARTS[1]}; fetch it anew.")
    camera = from_corner(*lens.parameters, lens.width, lens.height)
    camera.check(key)
    return camera


def _depth(path: Path, lens: Lens) -> np.ndarray:
    """The depth map of the distorted photo, metres, 0 where there is none, float32 [H, W]."""
    data = path.read_bytes()
    if len(data) != 4 * lens.width * lens.height:
        raise BadInput(
            f"{path} has {len(data)} bytes, but {lens.width}x{lens.height} float32 numbers take"
            f" {4 * lens.width * lens.height}; fetch it anew."
        )
    depth = np.frombuffer(data, "<f4").reshape(lens.height, lens.width)
    depth = np.where(np.isposinf(depth), 0, depth)
    checks.check_depths(depth, str(path))
    return depth


def _points(
    depth: np.ndarray, lens: Lens, camera: Camera, key: str
) -> tuple[np.ndarray, np.ndarray]:
    """Draws pixels of the distorted photo; returns where the undistorted one has them, and z."""
    pixels = draw_pixels(depth > 0, key, count=_CANDIDATES)
    z = depth[pixels[:, 1], pixels[:, 0]]
    rays = unproject(lens.parameters, pixels + 0.5)
    points, _ = project(camera, np.concatenate([rays, np.ones_like(rays[:, :1])], axis=-1))
    last = np.array([camera.width, camera.height]) - 1 - MARGIN
    inside = ((points >= MARGIN) & (points <= last)).all(axis=-1)
    if not inside.any():
        raise BadInput(f"{key} has no depth inside its undistorted image; leave it out.")
    return points[inside][:POINTS].astype(np.float32), z[inside][:POINTS]
