"""Procedurally rendered rooms with exact depth, poses, correspondences and named objects."""

import dataclasses
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from tfds_builders import base
from tfds_builders.synthetic_rooms.examples import Recipe, generate


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


class Builder(base.Builder):
    """Builder of synthetic_rooms; it needs no download."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar = {"1.0.0": "First release."}
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
            name="quickstart",
            description=(
                "Small views of plain rooms, all of one focal length. The camera carries the only "
                "lamp, so that shading tells depth and a tiny model learns it in minutes."
            ),
            recipe=Recipe(
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
            ),
        ),
    ]

    def _info(self) -> tfds.core.DatasetInfo:
        features = (
            _view_features() if self.builder_config.recipe.kind == "views" else _pair_features()
        )
        return tfds.core.DatasetInfo(
            builder=self,
            description=__doc__,
            features=tfds.features.FeaturesDict(features),
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator]:
        recipe = self.builder_config.recipe
        return {split: self._generate_examples(split) for split in recipe.scenes}

    def _generate_examples(self, split: str) -> Iterator[tuple[str, dict[str, Any]]]:
        return generate(self.builder_config.recipe, split)


def _view_features() -> dict[str, Any]:
    """A depth record and more; boxes run from the first to the last pixel of what is named."""
    return base.depth_features() | {
        "view": tfds.features.Scalar(dtype=np.int32),
        "depth_map": base.depth_map(),
        "camera_to_world": base.float64(4, 4),
        "boxes_xyxy": tfds.features.Tensor(shape=(None, 4), dtype=np.float32),
        "object_names": tfds.features.Sequence(tfds.features.Text()),
    }


def _pair_features() -> dict[str, Any]:
    """Two views of one scene; `corr` rows are x1, y1, x2, y2, `covisibility` is 1 to 2, 2 to 1."""
    features = {
        "covisibility": tfds.features.Tensor(shape=(2,), dtype=np.float32),
        "corr": tfds.features.Tensor(shape=(None, 4), dtype=np.float32),
        "scale_type": tfds.features.Text(),
        "dataset": tfds.features.Text(),
        "scene": tfds.features.Text(),
        "frame": tfds.features.Text(),
    }
    for side in "12":
        features["image" + side] = base.image()
        features["depth_map" + side] = base.depth_map()
        features["K" + side] = base.float64(3, 3)
        features["c2w" + side] = base.float64(4, 4)
    return features
