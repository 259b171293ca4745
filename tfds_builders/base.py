"""What all builders share: files in array_record, no TensorFlow, and the features of a record."""

from typing import Any

import numpy as np
import tensorflow_datasets as tfds


class Builder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """A builder that writes array_record files."""

    def __init__(self, **kwargs: Any):
        # Set here rather than by the caller: TFDS drops it when it pickles a builder, and then
        # falls back to TFRecord, which needs TensorFlow.
        kwargs["file_format"] = "array_record"
        super().__init__(**kwargs)


def depth_features() -> dict[str, Any]:
    """Features of a depth record: one image, its camera, and the depth of some of its pixels.

    `points_xy` are pixels, `depth_m` metres: along the optical axis where `label_kind` is 'z', from
    the camera's centre where it is 'euclid'. `dataset/scene/frame` names the record.
    """
    return {
        "image": image(),
        "intrinsics": float64(6),
        "points_xy": tfds.features.Tensor(shape=(None, 2), dtype=np.float32),
        "depth_m": tfds.features.Tensor(shape=(None,), dtype=np.float32),
        "label_kind": tfds.features.Text(),
        "dataset": tfds.features.Text(),
        "scene": tfds.features.Text(),
        "frame": tfds.features.Text(),
    }


def image() -> tfds.features.Image:
    """An image given as the bytes of its PNG or JPEG file, kept as they are."""
    return tfds.features.Image(shape=(None, None, 3))


def depth_map() -> tfds.features.Tensor:
    """A depth map as the bytes of a 16-bit PNG: millimetres, 0 where there is none."""
    return tfds.features.Tensor(shape=(), dtype=np.object_)


def float64(*shape: int) -> tfds.features.Tensor:
    """Float64 numbers as bytes: TFDS would otherwise store them as float32."""
    return tfds.features.Tensor(shape=shape, dtype=np.float64, encoding="bytes")
