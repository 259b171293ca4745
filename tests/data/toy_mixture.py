"""Small built sets of pairs and of questions about regions, and a mixture with `toy`'s views."""

from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds
from scipy.spatial.transform import Rotation

from tests.data import toy
from tests.data.sampling.records import png
from tfds_builders import base, schema
from tfds_builders.items import Item
from tfds_builders.writing import write_dataset
from vlm3_jax.data.mixture import SourceConfig
from vlm3_jax.data.pipeline import DataConfig
from vlm3_jax.data.sampling import (
    CorrespondenceSampling,
    DepthSampling,
    ObjectsSampling,
    PoseSampling,
    Samplings,
)
from vlm3_jax.geometry.camera import Camera

NUM_PAIRS, WITHOUT_MATCHES = 7, 3  # Pair 3 has no correspondence.
NUM_REGIONS = 4
CAMERA = Camera(40.0, 40.0, 24.0, 16.0, 48, 32)
SOURCES = {
    "views": SourceConfig(toy.NAME, "depth", weight=2.0),
    "matches": SourceConfig("toy_pairs", "correspondence", weight=1.0),
    "moves": SourceConfig("toy_pairs", "pose", weight=1.0),
    "regions": SourceConfig("toy_regions", "objects", weight=1.0),
}


def pair(number: int) -> dict:
    """Pair k turns by k + 1 degrees; its match i goes from (i, k) to (i + 1, k)."""
    second = np.eye(4)
    second[:3, :3] = Rotation.from_euler("Y", number + 1, degrees=True).as_matrix()
    second[:3, 3] = 0.5, 0, 1
    i = np.arange(0 if number == WITHOUT_MATCHES else 6, dtype=np.float32)
    sides = {}
    for side, pose in (("1", np.eye(4)), ("2", second)):
        sides |= {
            f"image{side}": png(2 * number + int(side), CAMERA.width, CAMERA.height),
            f"intrinsics{side}": CAMERA.to_array(),
            f"c2w{side}": pose,
            f"depth_map{side}": b"",
            f"depth_scale{side}": 0.0,
        }
    return sides | {
        "corr": np.stack([i, np.full_like(i, number), i + 1, np.full_like(i, number)], 1),
        "covisibility": np.array([0.5, 0.5], np.float32),
        "covisibility_normalised": np.array([0.5, 0.5], np.float32),
        **_names("pairs", number),
    }


def region(number: int) -> dict:
    """Question k is about a box k + 1 metres wide."""
    return {
        "image": png(100 + number, CAMERA.width, CAMERA.height),
        "intrinsics": CAMERA.to_array(),
        "boxes_xyxy": np.array([[1, 2, 20 + number, 30]], np.float32),
        "questions": ["How wide is Region [0]?"],
        "answers": [f"Region [0] is {number + 1}.00 meters wide."],
        "qa_types": ["quantitative"],
        "categories": ["width_data"],
        **_names("regions", number),
    }


def _names(dataset: str, number: int) -> dict:
    return {"scale_type": "metric", "dataset": dataset, "scene": "made", "frame": str(number)}


class ToyPairs(base.Builder):
    VERSION = tfds.core.Version("1.0.0")

    def features(self):
        return schema.pair_features()

    def items(self, raw):
        return {"train": [Item("all")]}

    def examples(self, raw, item):
        yield from map(pair, range(NUM_PAIRS))


class ToyRegions(ToyPairs):
    def features(self):
        return schema.region_features()

    def examples(self, raw, item):
        yield from map(region, range(NUM_REGIONS))


def build(data_dir: Path) -> Path:
    """Builds all that `SOURCES` name; returns the folder."""
    toy.build(data_dir)
    for builder in (ToyPairs, ToyRegions):
        write_dataset(builder(data_dir=data_dir))
    return data_dir


def config(data_dir: Path, **changes) -> DataConfig:
    """The mixture with two questions a sample, unpacked."""
    values = {
        "sources": SOURCES,
        "samplings": Samplings(
            DepthSampling(focal=60.0, questions_per_image=2),
            CorrespondenceSampling(longer_side=48, questions_per_pair=2),
            PoseSampling(focal=40.0, questions_per_pair=2),
            ObjectsSampling(focal=40.0),
        ),
        "max_tokens": 1600,
        "max_patches": 64,
        "max_supervised": 400,
    }
    return DataConfig(data_dir=str(data_dir), **(values | changes))
