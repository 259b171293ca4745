"""Pairs of views of GTA-SfM's flights through a game's landscape."""

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import h5py
import numpy as np
import tensorflow_datasets as tfds

from tfds_builders import base, checks, schema
from tfds_builders.items import Bad, Item, attempt
from tfds_builders.matrices import camera_of_matrix
from tfds_builders.pairs import Choice, View
from tfds_builders.posed_scenes import computed_pairs, posed_depth, without_infinite
from tfds_builders.well_formed import well_formed
from vlm3_jax.data.images import decode
from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.covisibility import PosedDepth, covisibility
from vlm3_jax.geometry.pose import check_rigid

_MAX_VIEWS = 96
_CHOICE = Choice(max_pairs=500)
# So many neighbours of a flight tell which way its poses go.
_NEIGHBOURS = 6


class Builder(base.Builder):
    """Builder of gta_sfm."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar = {"1.0.0": "First release."}
    HOMEPAGE = "https://github.com/HKUST-Aerial-Robotics/Flow-Motion-Depth"
    MANUAL_DOWNLOAD_INSTRUCTIONS = "Give a folder with train/*.hdf5, test/*.hdf5 or both."
    BUILDER_CONFIGS: ClassVar = [
        tfds.core.BuilderConfig(name="w2c", description="Poses are world to camera."),
        tfds.core.BuilderConfig(name="c2w", description="Poses are camera to world."),
    ]

    def features(self) -> dict[str, Any]:
        """Pair records."""
        return schema.pair_features()

    def items(self, raw: Path) -> dict[str, list[Item]]:
        """One a flight."""
        if not any(raw.glob("test/*.hdf5")):
            checks.needed(raw, "train/*.hdf5", builder="gta_sfm")
        splits: dict[str, list[Item]] = {}
        for path in sorted([*raw.glob("train/*.hdf5"), *raw.glob("test/*.hdf5")]):
            item = Item(path.stem, f"{path.parent.name}/{path.name}", _expected(path))
            splits.setdefault(path.parent.name, []).append(item)
        return splits

    def examples(self, raw: Path, item: Item) -> Iterator[dict[str, Any] | Bad]:
        """Pairs of the flight."""
        path = raw / item.data
        with well_formed(str(path)), h5py.File(path) as file:
            frames = sorted(int(m[1]) for key in file if (m := re.fullmatch(r"image_(\d+)", key)))
        checks.not_empty(frames, f"the images of {path}")
        load = partial(_view, path, self.builder_config.name == "w2c")
        _check_direction(frames[:_NEIGHBOURS], load, self.builder_config.name, item.key)
        places = np.linspace(0, len(frames) - 1, min(len(frames), _MAX_VIEWS)).astype(int)
        names = {"dataset": "gta_sfm", "scene": item.key, "scale_type": "metric"}
        yield from computed_pairs([frames[i] for i in places], load, _CHOICE, names)


def _expected(path: Path) -> int:
    """How many pairs a flight may have; 1 for one that cannot be read, which is found bad later."""
    with suppress(OSError), h5py.File(path) as file:
        views = min(len(file) // 4, _MAX_VIEWS)
        return max(1, min(_CHOICE.max_pairs, views * (views - 1) // 2))
    return 1


def _view(path: Path, is_w2c: bool, frame: int) -> View:
    name = f"{path.stem}/{frame}"
    with well_formed(f"{path} image {frame}"), h5py.File(path) as file:
        image = np.asarray(file[f"image_{frame}"], np.uint8).tobytes()
        depth = without_infinite(np.squeeze(file[f"depth_{frame}"][:]))
        k, pose = file[f"K_{frame}"][:], np.asarray(file[f"pose_{frame}"][:], np.float64)
    height, width = decode(image, f"{name}: image").shape[:2]
    camera = camera_of_matrix(k, width, height, f"{name}: intrinsics")
    if pose.shape == (3, 4):
        pose = np.vstack([pose, [0, 0, 0, 1]])
    check_rigid(pose, f"{name}: pose")
    posed = posed_depth(depth, camera, np.linalg.inv(pose) if is_w2c else pose, name)
    return View(f"{frame:06d}", image, posed)


def _check_direction(frames: list[int], load: Callable[[int], View], way: str, scene: str) -> None:
    """Raises BadInput if neighbours share more when the poses are taken the other way."""
    views = [attempt(scene, load, frame) for frame in frames]
    posed = [view.posed for view in views if isinstance(view, View)]
    turned = [PosedDepth(view.depth, view.camera, np.linalg.inv(view.c2w)) for view in posed]
    here, there = (
        sum(float(covisibility(two)[0, 1]) for two in pairwise(some)) for some in (posed, turned)
    )
    if there > here:
        other = {"w2c": "c2w", "c2w": "w2c"}[way]
        raise BadInput(
            f"{scene}: neighbours share {here:.3g} of {len(posed) - 1} images by poses taken as"
            f" {way}, but {there:.3g} as {other}; build gta_sfm/{other}."
        )
