"""Pairs of views of the datasets that map-anything converts to its WAI format."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import tensorflow_datasets as tfds

from tfds_builders import base, checks, schema
from tfds_builders.items import Bad, Item
from tfds_builders.pairs import scene_pairs
from tfds_builders.posed_scenes import METRIC, UP_TO_SCALE, computed_pairs, seeded
from tfds_builders.wai import splits
from tfds_builders.wai.recipes import RECIPES
from tfds_builders.wai.scene import read_scene, stored_covisibility


class Builder(base.Builder):
    """Builder of wai: a config a dataset."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar = {"1.0.0": "First release."}
    HOMEPAGE = "https://github.com/facebookresearch/map-anything"
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Give the folder of one dataset in the WAI format, with SCENE/scene_meta.json and the files"
        " that it names."
    )
    BUILDER_CONFIGS: ClassVar = [
        tfds.core.BuilderConfig(name=name, description=f"Pairs of views of {recipe.title}.")
        for name, recipe in RECIPES.items()
    ]

    def features(self) -> dict[str, Any]:
        """Pair records."""
        return schema.pair_features()

    def items(self, raw: Path) -> dict[str, list[Item]]:
        """One a scene; several where a scene has more pairs than go into a file."""
        checks.needed(raw, "*/scene_meta.json", builder="wai")
        dataset = self.builder_config.name
        scenes = sorted(path.parent.name for path in raw.glob("*/scene_meta.json"))
        divided = splits.assign(raw, dataset, RECIPES[dataset], scenes)
        return {
            split: [item for name in names for item in self._parts(raw, name)]
            for split, names in divided.items()
        }

    def examples(self, raw: Path, item: Item) -> Iterator[dict[str, Any] | Bad]:
        """Pairs of the scene."""
        name, part = item.data
        recipe = RECIPES[self.builder_config.name]
        scene = read_scene(raw / name, recipe)
        choice = dataclasses.replace(
            METRIC if scene.scale_type == "metric" else UP_TO_SCALE,
            threshold=recipe.threshold,
            max_pairs=recipe.max_pairs,
        )
        names = {
            "dataset": self.builder_config.name,
            "scene": name,
            "scale_type": scene.scale_type,
        }
        scores = scene.covisibility()
        if scores is None:
            frames = scene.good_frames
            yield from computed_pairs(
                frames, scene.view, choice, names, recipe.tolerance, recipe.size
            )
        else:
            frames = list(scene.frames)
            yield from scene_pairs(
                scores, lambda i: scene.view(frames[i]), choice, seeded(name), names, part
            )

    def _parts(self, raw: Path, name: str) -> list[Item]:
        expected = RECIPES[self.builder_config.name].max_pairs
        stored = stored_covisibility(raw / name)
        if stored is None:
            return [Item(name, (name, (0, 1)), expected)]
        views = stored.stem.rpartition("x")[2]
        if views.isdigit():
            expected = max(1, min(expected, int(views) * (int(views) - 1) // 2))
        count = -(-expected // self.RECORDS_PER_SHARD)
        return [
            Item(f"{name}/{number}", (name, (number, count)), -(-expected // count))
            for number in range(count)
        ]
