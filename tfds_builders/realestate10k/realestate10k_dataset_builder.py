"""Pairs of views of RealEstate10K's walks through houses, with depth maps of the user's."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds
from absl import logging

from tfds_builders import base, checks, schema
from tfds_builders.items import Bad, Item
from tfds_builders.pairs import Choice, View
from tfds_builders.posed_scenes import UP_TO_SCALE, computed_pairs, posed_depth
from tfds_builders.raw_files import read_numbers
from tfds_builders.realestate10k.clip import Frame, read_clip, read_depth
from vlm3_jax.data.images import decode
from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.covisibility import MOGE, Tolerance

_MAX_VIEWS = 32
_CHOICE = Choice(absolute=UP_TO_SCALE.absolute, relative=UP_TO_SCALE.relative, max_pairs=15)
_TOLERANCES = {"colmap": Tolerance(0.0, 0.05, 0.0), "estimated_metric": MOGE}


class Builder(base.Builder):
    """Builder of realestate10k."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar = {"1.0.0": "First release."}
    HOMEPAGE = "https://google.github.io/realestate10k"
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Give a folder with train/*.txt, test/*.txt, frames/CLIP/TIMESTAMP.jpg and depth maps of"
        " your own, depth/CLIP/TIMESTAMP.npy."
    )
    BUILDER_CONFIGS: ClassVar = [
        tfds.core.BuilderConfig(name="colmap", description="Depth in the unit of the poses."),
        tfds.core.BuilderConfig(
            name="estimated_metric", description="Depth in metres, and a scale of each clip."
        ),
    ]

    def features(self) -> dict[str, Any]:
        """Pair records."""
        return schema.pair_features()

    def items(self, raw: Path) -> dict[str, list[Item]]:
        """One a clip that has depth maps."""
        checks.needed(raw, "depth", "frames", builder="realestate10k")
        if not any(raw.glob("test/*.txt")):
            checks.needed(raw, "train/*.txt", builder="realestate10k")
        splits: dict[str, list[Item]] = {}
        without = 0
        for path in sorted([*raw.glob("train/*.txt"), *raw.glob("test/*.txt")]):
            if (raw / "depth" / path.stem).is_dir():
                item = Item(path.stem, path.parent.name, _CHOICE.max_pairs)
                splits.setdefault(path.parent.name, []).append(item)
            else:
                without += 1
        if without:
            logging.warning("%d clips have no folder in %s: left out.", without, raw / "depth")
        return splits

    def examples(self, raw: Path, item: Item) -> Iterator[dict[str, Any] | Bad]:
        """Pairs of the clip."""
        clip = read_clip(raw / item.data / f"{item.key}.txt")
        scale_type = self.builder_config.name
        scale = _scale(raw / "depth" / item.key) if scale_type == "estimated_metric" else 1.0
        maps = {
            path.stem: path
            for path in (raw / "depth" / item.key).iterdir()
            if path.suffix in (".npy", ".png")
        }
        checks.not_empty(maps, f"the depth maps of clip {item.key}")
        # By time: their names have different lengths.
        frames = sorted(maps, key=lambda frame: (len(frame), frame))
        places = np.linspace(0, len(frames) - 1, min(len(frames), _MAX_VIEWS)).astype(int)
        names = {"dataset": "realestate10k", "scene": item.key, "scale_type": scale_type}
        load = partial(_view, raw / "frames" / item.key, maps, clip, scale)
        yield from computed_pairs(
            [frames[i] for i in places], load, _CHOICE, names, _TOLERANCES[scale_type]
        )


def _view(
    folder: Path, maps: dict[str, Path], clip: dict[str, Frame], scale: float, frame: str
) -> View:
    name = f"{folder.name}/{frame}"
    if frame not in clip:
        raise BadInput(f"{maps[frame]} is of no frame of its clip; name it by a timestamp.")
    path = next((p for p in folder.glob(f"{frame}.*") if p.suffix in (".jpg", ".png")), None)
    if path is None:
        raise BadInput(f"{folder / frame}.jpg is missing; cut it from the video.")
    image = checks.read_image(path, str(path))
    height, width = decode(image, str(path)).shape[:2]
    camera, c2w = clip[frame].camera(width, height), clip[frame].c2w(scale, name)
    return View(frame, image, posed_depth(read_depth(maps[frame]), camera, c2w, name))


def _scale(folder: Path) -> float:
    (scale,) = read_numbers(folder / "scale.txt", 1)
    if not (np.isfinite(scale) and scale > 0):
        raise BadInput(f"{folder / 'scale.txt'} holds {scale:g}; give a positive number.")
    return scale
