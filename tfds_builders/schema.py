"""The one record schema: TFDS features of single views, pairs of views and region questions.

Conventions of every record:

- Pixels: x to the right, y down; an integer is the centre of its pixel, the first one is (0, 0).
- `intrinsics`, float64 [6]: fx, fy, cx, cy, W, H in pixels of the stored image, no distortion.
- `c2w`, float64 [4, 4]: rigid camera-to-world pose, camera axes x right, y down, z forward
  (OpenCV), lengths in the unit of `scale_type`; all NaN where it is not known.
- Depth is along the optical axis ('z'), or from the camera's centre ('euclid') where a `label_kind`
  says so.
- `scale_type`: the unit of depths and translations. 'metric' metres; 'estimated_metric' metres
  estimated by a model or by hand; 'colmap' an arbitrary unit of each scene.
- `dataset`, `scene`, `frame`, text: name the record; no two have the same three.
- `split`, text: train, validation or test, as the raw data have it.
- An image is the file as it was given, or a PNG or JPEG that the builder made of it.

The version is `vlm3_jax.data.records.SCHEMA_VERSION`, kept in each dataset's metadata.json. A
reader refuses another major version. A new field with a default raises the minor one.
"""

from typing import Any

import numpy as np
import tensorflow_datasets as tfds

NO_POSE = np.full((4, 4), np.nan)
NO_INTRINSICS = np.full(6, np.nan)


def depth_features() -> dict[str, Any]:
    """A single view with the depth of some of its pixels; read as `DepthRecord`.

    points_xy: float32 [N, 2], pixels inside the image, N at least 1.
    depth_m: float32 [N], positive, of the kind that `label_kind` ('z' or 'euclid') names.
    """
    return {
        "image": image(),
        "intrinsics": float64(6),
        "c2w": float64(4, 4),
        "points_xy": tfds.features.Tensor(shape=(None, 2), dtype=np.float32),
        "depth_m": tfds.features.Tensor(shape=(None,), dtype=np.float32),
        "label_kind": tfds.features.Text(),
        **_names(),
    }


def pair_features() -> dict[str, Any]:
    """Two views of one scene; read as `PairRecord`.

    corr: float32 [M, 4], x1, y1, x2, y2 of pixels that show the same surface point; none where
        they are not known: such a pair can only be asked how the camera moved.
    covisibility: float32 [2], share of view 1's pixels that view 2 sees, and the reverse.
    covisibility_normalised: float32 [2], the mean of both, divided by view 1's score with itself,
        and by view 2's (see `vlm3_jax.geometry.covisibility`).
    Depth maps are as in `depth_map_features`.
    """
    sides = {}
    for side in "12":
        sides[f"image{side}"] = image()
        sides[f"intrinsics{side}"] = float64(6)
        sides[f"c2w{side}"] = float64(4, 4)
        sides |= depth_map_features(side)
    return sides | {
        "corr": tfds.features.Tensor(shape=(None, 4), dtype=np.float32),
        "covisibility": tfds.features.Tensor(shape=(2,), dtype=np.float32),
        "covisibility_normalised": tfds.features.Tensor(shape=(2,), dtype=np.float32),
        **_names(),
    }


def region_features() -> dict[str, Any]:
    """Questions about regions of an image; read as `RegionRecord`.

    intrinsics: all NaN where they are not known.
    boxes_xyxy: float32 [K, 4], left, top, right, bottom of the regions, pixels of the image.
    questions, answers: text, at least one of each; `<mask>` stands for the boxes one after the
        other, `Region [0]` for the first box, and so on, as in SpatialRGPT's data.
    qa_types: for each question 'qualitative', 'quantitative', or '' where the raw data name none.
    categories: for each question the raw data's own, for example 'distance_data', or ''.
    """
    texts = ("questions", "answers", "qa_types", "categories")
    return {
        "image": image(),
        "intrinsics": float64(6),
        "boxes_xyxy": tfds.features.Tensor(shape=(None, 4), dtype=np.float32),
        **{name: tfds.features.Sequence(tfds.features.Text()) for name in texts},
        **_names(),
    }


def depth_map_features(side: str = "") -> dict[str, Any]:
    """A dense depth map beside an image, as `vlm3_jax.data.depth_maps.encode_depth` gives it.

    depth_map: bytes of a 16-bit PNG of the image's size; 0 where there is no depth; empty where the
        record has no map.
    depth_scale: float64, what one step of the map is worth, in the unit of `scale_type`.
    """
    return {
        f"depth_map{side}": tfds.features.Tensor(shape=(), dtype=np.object_),
        f"depth_scale{side}": float64(),
    }


def image() -> tfds.features.Image:
    """An image given as the bytes of its PNG or JPEG file, kept as they are."""
    return tfds.features.Image(shape=(None, None, 3))


def float64(*shape: int) -> tfds.features.Tensor:
    """Float64 numbers as bytes: TFDS would otherwise store them as float32."""
    return tfds.features.Tensor(shape=shape, dtype=np.float64, encoding="bytes")


def _names() -> dict[str, Any]:
    names = ("scale_type", "dataset", "scene", "frame", "split")
    return {name: tfds.features.Text() for name in names}
