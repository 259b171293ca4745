"""Pairs of views of DTU's scans of objects, as MVSNet prepared them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from tfds_builders import base, checks, schema
from tfds_builders.dtu.files import read_cam, read_pfm
from tfds_builders.items import Bad, Item
from tfds_builders.matrices import camera_of_matrix
from tfds_builders.pairs import Choice, View
from tfds_builders.posed_scenes import computed_pairs, posed_depth
from vlm3_jax.data.images import decode
from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.covisibility import Tolerance

TEST = (1, 4, 9, 10, 11, 12, 13, 15, 23, 24, 29, 32, 33, 34, 48, 49, 62, 75, 77, 110, 114, 118)
"""Scans that evaluations of multi-view stereo use. Source: Depth-Anything-3, bench, dtu.py."""
_LIGHT = 3
_TRUSTED = 10
_METRES = 0.001
_CHOICE = Choice(max_pairs=200, absolute=0.002, relative=0.002)
_TOLERANCE = Tolerance(absolute=0.005, relative=0.005, temperature=0.0)


class Builder(base.Builder):
    """Builder of dtu."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar = {"1.0.0": "First release."}
    HOMEPAGE = "https://roboimagedata.compute.dtu.dk/?page_id=36"
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Give a folder with Rectified/, Cameras/ and Depths_raw/, as MVSNet prepared them."
    )

    def features(self) -> dict[str, Any]:
        """Pair records."""
        return schema.pair_features()

    def items(self, raw: Path) -> dict[str, list[Item]]:
        """One a scan."""
        checks.needed(raw, "Rectified", "Cameras/*_cam.txt", "Depths_raw/*/*.pfm", builder="dtu")
        splits: dict[str, list[Item]] = {}
        for scan in sorted(path.name for path in (raw / "Depths_raw").iterdir() if path.is_dir()):
            split = "test" if scan in {f"scan{number}" for number in TEST} else "train"
            splits.setdefault(split, []).append(Item(scan, records=_CHOICE.max_pairs))
        return splits

    def examples(self, raw: Path, item: Item) -> Iterator[dict[str, Any] | Bad]:
        """Pairs of the scan."""
        maps = sorted((raw / "Depths_raw" / item.key).glob("depth_map_*.pfm"))
        frames = [path.stem.removeprefix("depth_map_") for path in maps]
        names = {"dataset": "dtu", "scene": item.key, "scale_type": "metric"}
        yield from computed_pairs(
            frames, lambda frame: _view(raw, item.key, frame), _CHOICE, names, _TOLERANCE
        )


def _view(raw: Path, scan: str, frame: str) -> View:
    if not frame.isdigit():
        raise BadInput(f"{scan}/depth_map_{frame}.pfm has no number for a name; fetch it anew.")
    number = int(frame)
    path = raw / "Rectified" / scan / f"rect_{number + 1:03d}_{_LIGHT}_r5000.png"
    image = checks.read_image(path, str(path))
    depth = read_pfm(raw / "Depths_raw" / scan / f"depth_map_{frame}.pfm")
    mask = raw / "Depths_raw" / scan / f"depth_visual_{frame}.png"
    trusted = decode(mask.read_bytes(), str(mask))[..., 0] > _TRUSTED
    if trusted.shape != depth.shape:
        raise BadInput(f"{mask} has another size than its depth map; fetch both anew.")
    depth = np.where(trusted, depth, 0) * np.float32(_METRES)
    w2c, k = read_cam(raw / "Cameras" / f"{number:08d}_cam.txt")
    # The image's size is what the camera's numbers are of; a depth map of another size is bad.
    height, width = decode(image, str(path)).shape[:2]
    name = f"{scan}/{frame}"
    camera = camera_of_matrix(k, width, height, name)
    return View(frame, image, posed_depth(depth, camera, _inverse(w2c, name), name))


def _inverse(w2c: np.ndarray, name: str) -> np.ndarray:
    """Camera-to-world pose in metres."""
    try:
        c2w = np.linalg.inv(w2c)
    except np.linalg.LinAlgError as error:
        raise BadInput(f"{name}: its camera has no inverse; fetch it anew.") from error
    c2w[:3, 3] *= _METRES
    return c2w
