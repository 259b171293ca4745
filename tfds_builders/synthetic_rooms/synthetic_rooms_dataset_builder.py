"""Procedurally rendered rooms with exact depth, poses, correspondences and named objects."""

import dataclasses
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from tfds_builders import base, schema
from tfds_builders.items import Item
from tfds_builders.synthetic_rooms.examples import Recipe, scene_examples, scene_name


@dataclasses.dataclass
class RoomsConfig(tfds.core.BuilderConfig):
    """A config and what its records are made of."""

    recipe: Recipe | None = None


_VIEWS = Recipe(
    kind="views",
    furnished=True,
    width=320,
    height=240,
    focals=(200.0, 420.0),
    median_depths=(1.7, 4.2),
    margin=0.28,
    off_centre=0.03,
    scenes={"train": 200, "validation": 20},
    views=8,
    points=100,
)
_QUICKSTART = Recipe(
    kind="views",
    furnished=False,
    width=128,
    height=96,
    focals=(100.0, 100.0),
    median_depths=(0.7, 4.5),
    margin=0.0,
    off_centre=0.0,
    scenes={"train": 300, "validation": 32},
    views=8,
    points=20,
)
# A room has few objects and few pairs of views to ask about.
_MANY_SCENES = {"train": 1500, "validation": 32}
_PLAIN = (
    " of small, plain rooms, all of one focal length. The camera carries the only lamp, so that "
    "shading tells depth and a tiny model learns in minutes."
)


class Builder(base.Builder):
    """Builder of synthetic_rooms; it needs no download."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar = {"1.0.0": "First release."}
    RECORDS_PER_SHARD = 200  # Drawing takes longer than writing: work for many processes.
    BUILDER_CONFIGS: ClassVar = [
        RoomsConfig(
            name="views",
            description="Single views of lamp-lit, textured rooms.",
            recipe=_VIEWS,
        ),
        RoomsConfig(
            name="pairs",
            description="Pairs of views of lamp-lit, textured rooms.",
            recipe=dataclasses.replace(_VIEWS, kind="pairs", points=50),
        ),
        RoomsConfig(
            name="regions",
            description="Single views of lamp-lit, textured rooms with questions about objects.",
            recipe=dataclasses.replace(_VIEWS, kind="regions", points=20),
        ),
        RoomsConfig(
            name="quickstart",
            description=f"Single views{_PLAIN}",
            recipe=_QUICKSTART,
        ),
        RoomsConfig(
            name="quickstart_pairs",
            description=f"Pairs of views{_PLAIN}",
            recipe=dataclasses.replace(_QUICKSTART, kind="pairs", scenes=_MANY_SCENES),
        ),
        RoomsConfig(
            name="quickstart_regions",
            description=f"Single views with questions about objects{_PLAIN}",
            recipe=dataclasses.replace(_QUICKSTART, kind="regions", scenes=_MANY_SCENES),
        ),
    ]

    def features(self) -> dict[str, Any]:
        """Depth records with more of each view, pair records or region records."""
        if self.builder_config.recipe.kind == "pairs":
            return schema.pair_features()
        if self.builder_config.recipe.kind == "regions":
            return schema.region_features()
        return schema.depth_features() | schema.depth_map_features() | _VIEW_FEATURES

    def items(self, raw: None) -> dict[str, list[Item]]:
        """One a scene."""
        recipe = self.builder_config.recipe
        records = recipe.max_pairs if recipe.kind == "pairs" else recipe.views
        return {
            split: [Item(scene_name(split, i), (split, i), records) for i in range(scenes)]
            for split, scenes in recipe.scenes.items()
        }

    def examples(self, raw: None, item: Item) -> Iterator[dict[str, Any]]:
        """The views or pairs of the scene."""
        yield from scene_examples(self.builder_config.recipe, *item.data)


# Boxes run from the first to the last pixel of what is named.
_VIEW_FEATURES = {
    "view": tfds.features.Scalar(dtype=np.int32),
    "boxes_xyxy": tfds.features.Tensor(shape=(None, 4), dtype=np.float32),
    "object_names": tfds.features.Sequence(tfds.features.Text()),
}
