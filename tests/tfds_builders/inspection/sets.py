"""Datasets of known geometry, and what a builder could do wrong to them."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from tests.tfds_builders import pair_sets
from tests.tfds_builders.known_geometry import KnownView, image_file, known_view, known_views
from tfds_builders import schema
from tfds_builders.pairs import Choice, View, scene_pairs
from vlm3_jax.data.depth_maps import encode_depth
from vlm3_jax.data.records import SCHEMA_VERSION
from vlm3_jax.geometry.camera import euclid_from_z
from vlm3_jax.geometry.covisibility import PosedDepth, covisibility

Change = Callable[[dict[str, Any]], dict[str, Any]]
NAME = "known"
BOXES = [[4, 5, 20, 30], [30.5, 10, 60, 40], [10, 2, 90, 60]]


def build(data_dir: Path, features: dict, splits: dict[str, list[dict]]) -> None:
    """Writes records as they are to `data_dir/known`."""

    class Known(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            return tfds.core.DatasetInfo(
                builder=self,
                features=tfds.features.FeaturesDict(features),
                metadata=tfds.core.MetadataDict(schema_version=SCHEMA_VERSION),
            )

        def _split_generators(self, dl_manager):
            return {name: self._generate_examples(name) for name in splits}

        def _generate_examples(self, split):
            for number, example in enumerate(splits[split]):
                yield f"{split}{number:03d}", {"split": split} | example

    Known(data_dir=str(data_dir), file_format="array_record").download_and_prepare()


def views(points: int = 40, kind: str = "z") -> list[dict]:
    """Ten posed views of each scene, with depth of random pixels and depth maps."""
    return [
        view_example(view, points, kind)
        for scene in ("attic", "barn")
        for view in known_views(scene, 10)
    ]


def view_example(view: KnownView, points: int, kind: str = "z") -> dict[str, Any]:
    rng = np.random.default_rng([len(view.scene), int(view.frame)])
    xy = np.stack(
        [
            rng.integers(view.camera.width, size=points),
            rng.integers(view.camera.height, size=points),
        ],
        -1,
    )
    z = view.z_at(xy)
    depth_map, depth_scale = encode_depth(view.depth)
    return {
        "image": view.file(),
        "intrinsics": view.camera.to_array(),
        "c2w": view.c2w,
        "points_xy": xy.astype(np.float32),
        "depth_m": (z if kind == "z" else euclid_from_z(view.camera, xy, z)).astype(np.float32),
        "label_kind": kind,
        "scale_type": "metric",
        "dataset": "known",
        "scene": view.scene,
        "frame": view.frame,
        "depth_map": depth_map,
        "depth_scale": depth_scale,
    }


def build_views(data_dir: Path, change: Change = dict, **options) -> None:
    """The views, each as `change` returns it, all for training."""
    features = schema.depth_features() | schema.depth_map_features()
    build(data_dir, features, {"train": [change(example) for example in views(**options)]})


def pairs(count: int = 4) -> list[dict]:
    """All pairs of the first views of each scene."""
    made = []
    for scene, seen in pair_sets.scenes(count).items():
        posed = [PosedDepth(view.depth, view.camera, view.c2w) for view in seen]
        files = [View(view.frame, view.file(), one) for view, one in zip(seen, posed, strict=True)]
        names = {"dataset": "known", "scene": scene, "scale_type": "metric"}
        rng = np.random.default_rng(0)
        made += scene_pairs(covisibility(posed), files.__getitem__, Choice(), rng, names)
    return made


def build_pairs(data_dir: Path, change: Change = dict) -> None:
    """The pairs, each as `change` returns it, all for training."""
    build(data_dir, schema.pair_features(), {"train": [change(example) for example in pairs()]})


def regions() -> list[dict]:
    """Two images with three boxes, and two questions about them."""
    return [
        {
            "image": known_view(scene, 0).file(),
            "intrinsics": schema.NO_INTRINSICS
            if scene == "barn"
            else known_view(scene, 0).camera.to_array(),
            "boxes_xyxy": np.array(BOXES, np.float32),
            "questions": [
                "How far is <mask> from <mask>?",
                "Is Region [0] taller than Region [2]?",
            ],
            "answers": ["Region [0] is 2.5 meters from Region [1].", "Yes, it is."],
            "qa_types": ["quantitative", "qualitative"],
            "categories": ["distance_data", "tall_predicate"],
            "scale_type": "metric",
            "dataset": "known",
            "scene": scene,
            "frame": "0",
        }
        for scene in ("attic", "barn")
    ]


def build_regions(data_dir: Path, change: Change = dict) -> None:
    """The questions, each record as `change` returns it, all for a test."""
    build(data_dir, schema.region_features(), {"test": [change(example) for example in regions()]})


def flipped(data: bytes, axis: int = 0) -> bytes:
    """An image file upside down, or with left and right swapped."""
    return image_file(np.flip(np.asarray(Image.open(io.BytesIO(data))), axis).copy())
