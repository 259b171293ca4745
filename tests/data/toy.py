"""A small built dataset of depth records."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from tests.tiny import textured_image

NAME = "toy_depth/small"
SIZES = [(48, 64), (40, 56), (64, 48)]  # Height and width.


def example(number: int, points: int = 5) -> dict[str, Any]:
    """A view whose depths tell it and its points apart: point k of view i is i + k / 100 + 1 m."""
    height, width = SIZES[number % len(SIZES)]
    rng = np.random.default_rng(number)
    buffer = io.BytesIO()
    Image.fromarray(textured_image(rng, height, width)).save(buffer, "PNG")
    return {
        "image": buffer.getvalue(),
        "intrinsics": np.array([50.0, 50.0, width / 2, height / 2, width, height]),
        "points_xy": rng.uniform(0, [width - 1, height - 1], (points, 2)).astype(np.float32),
        "depth_m": (number + 1 + np.arange(points) / 100).astype(np.float32),
        "label_kind": "z",
        "dataset": "toy",
        "scene": f"scene{number // 3}",
        "frame": str(number),
        "boxes_xyxy": np.zeros((2, 4), np.float32),
    }


def build(data_dir: Path, change: Callable[[dict], dict] = dict, version: str = "1.0.0") -> Path:
    """Builds 9 training and 4 test views, each as `change` returns it; returns `data_dir`."""

    class ToyDepth(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        VERSION = tfds.core.Version(version)
        BUILDER_CONFIGS = [tfds.core.BuilderConfig(name="small")]  # noqa: RUF012

        def _info(self):
            first = change(example(0))
            kinds = {
                "image": tfds.features.Image(),
                "intrinsics": tfds.features.Tensor(shape=(6,), dtype=np.float64),
                "points_xy": tfds.features.Tensor(shape=(None, 2), dtype=np.float32),
                "depth_m": tfds.features.Tensor(shape=(None,), dtype=np.float32),
                "boxes_xyxy": tfds.features.Tensor(shape=(None, 4), dtype=np.float32),
            }
            features = {name: kinds.get(name, tfds.features.Text()) for name in first}
            return tfds.core.DatasetInfo(
                builder=self, features=tfds.features.FeaturesDict(features)
            )

        def _split_generators(self, dl_manager):
            return {"train": self._generate_examples(0, 9), "test": self._generate_examples(9, 13)}

        def _generate_examples(self, start, stop):
            for number in range(start, stop):
                yield number, change(example(number))

    ToyDepth(data_dir=str(data_dir), file_format="array_record").download_and_prepare()
    return data_dir
