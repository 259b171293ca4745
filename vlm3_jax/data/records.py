"""What a dataset gives: single views, pairs of views, and questions about regions.

`tfds_builders.schema` tells the fields of the files, their units and conventions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from vlm3_jax.data.depth_maps import decode_depth
from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.camera import Camera, z_from_euclid
from vlm3_jax.geometry.pose import check_rigid

SCHEMA_VERSION = "1.0"
"""Of the records that builders write; kept in each dataset's metadata.json."""

LABEL_KINDS = ("z", "euclid")
SCALE_TYPES = ("metric", "estimated_metric", "colmap")


def check_schema_version(version: str, name: str) -> None:
    """Raises BadInput if records of dataset `name` with this version cannot be read."""
    if version.partition(".")[0] != SCHEMA_VERSION.partition(".")[0]:
        raise BadInput(
            f"{name} has records of schema version {version}, but this program reads"
            f" {SCHEMA_VERSION}: build it anew with --overwrite, or use the program that built it."
        )


@dataclass(frozen=True)
class DepthRecord:
    """A view with the depth of some of its pixels."""

    KIND: ClassVar = "depth"
    FEATURES: ClassVar = (
        "image",
        "intrinsics",
        "points_xy",
        "depth_m",
        "dataset",
        "scene",
        "frame",
    )
    """Names in a TFDS record of what must be there; sets of before the schema have only these."""
    IMAGES: ClassVar = ("image",)

    key: str
    """`dataset/scene/frame`."""
    image: bytes
    """The image file, PNG or JPEG."""
    camera: Camera
    points_xy: np.ndarray
    """float32 [N, 2], pixels of the image; N is at least 1."""
    depth_m: np.ndarray
    """float32 [N], positive, of the kind `label_kind`."""
    label_kind: str = "z"
    """'z' along the optical axis, 'euclid' from the camera's centre."""
    c2w: np.ndarray | None = None
    """Camera-to-world pose, float64 [4, 4], where it is known."""
    scale_type: str = "metric"
    """Unit of depths and translations: one of `SCALE_TYPES`."""
    split: str = ""
    """As the raw data have it, where that was kept."""

    @classmethod
    def from_features(cls, features: Mapping[str, Any]) -> Self:
        """Reads the features of a TFDS depth record, whose image is not decoded.

        Raises:
            BadInput: the camera or the labels cannot be used. Builders leave such views and points
                out, so one that is found here is a fault of the builder.
        """
        record = cls(
            key=_key(features),
            image=features["image"],
            camera=_camera(features, "intrinsics"),
            points_xy=features["points_xy"],
            depth_m=features["depth_m"],
            label_kind=_text(features, "label_kind", "z", LABEL_KINDS),
            c2w=_pose(features, "c2w"),
            scale_type=_text(features, "scale_type", "metric", SCALE_TYPES),
            split=_text(features, "split", ""),
        )
        record._check_labels()
        return record

    @property
    def z_m(self) -> np.ndarray:
        """Depths along the optical axis whatever the labels' kind, float32 [N]."""
        if self.label_kind == "z":
            return self.depth_m
        return z_from_euclid(self.camera, self.points_xy, self.depth_m).astype(np.float32)

    def _check_labels(self) -> None:
        num_points, num_depths = len(self.points_xy), len(self.depth_m)
        if num_points != num_depths or num_points == 0:
            raise BadInput(
                f"{self.key} has {num_points} points and {num_depths} depths: build its dataset"
                " anew with a depth for every point, and without views that have no point."
            )
        size = (self.camera.width, self.camera.height)
        inside = ((self.points_xy >= 0) & (self.points_xy < size)).all(axis=1)
        usable = inside & np.isfinite(self.depth_m) & (self.depth_m > 0)
        if not usable.all():
            (x, y), depth = self.points_xy[~usable][0], self.depth_m[~usable][0]
            raise BadInput(
                f"{self.key} has a point ({x:g}, {y:g}) with depth {depth:g} m in an image of"
                f" {size[0]}x{size[1]} pixels: build its dataset anew without points that are"
                " outside the image or have no positive depth."
            )


@dataclass(frozen=True)
class PairRecord:
    """Two views of one scene; every tuple of two has view 1 first."""

    KIND: ClassVar = "pair"
    FEATURES: ClassVar = (
        *("image1", "intrinsics1", "c2w1", "depth_map1", "depth_scale1"),
        *("image2", "intrinsics2", "c2w2", "depth_map2", "depth_scale2"),
        *("corr", "covisibility", "covisibility_normalised", "dataset", "scene", "frame"),
    )
    IMAGES: ClassVar = ("image1", "image2")

    key: str
    """`dataset/scene/frame`."""
    images: tuple[bytes, bytes]
    """The image files, PNG or JPEG."""
    cameras: tuple[Camera, Camera]
    c2w: tuple[np.ndarray, np.ndarray]
    """Camera-to-world poses, float64 [4, 4]."""
    corr: np.ndarray
    """float32 [M, 4]: x1, y1, x2, y2 of pixels that show the same surface point; M may be 0."""
    covisibility: tuple[float, float]
    """Share of view 1's pixels that view 2 sees, and the reverse."""
    covisibility_normalised: tuple[float, float]
    """Mean of both, divided by view 1's score with itself, and by view 2's."""
    scale_type: str
    """Unit of depths and translations: one of `SCALE_TYPES`."""
    split: str
    _depth_maps: tuple[tuple[bytes, float], tuple[bytes, float]]

    @classmethod
    def from_features(cls, features: Mapping[str, Any]) -> Self:
        """Reads the features of a TFDS pair record, whose images are not decoded.

        Raises:
            BadInput: a camera, a pose or a correspondence cannot be used, which is a fault of the
                builder.
        """
        record = cls(
            key=_key(features),
            images=(features["image1"], features["image2"]),
            cameras=(_camera(features, "intrinsics1"), _camera(features, "intrinsics2")),
            c2w=(_known_pose(features, "c2w1"), _known_pose(features, "c2w2")),
            corr=features["corr"],
            covisibility=tuple(map(float, features["covisibility"])),
            covisibility_normalised=tuple(map(float, features["covisibility_normalised"])),
            scale_type=_text(features, "scale_type", "metric", SCALE_TYPES),
            split=_text(features, "split", ""),
            _depth_maps=tuple(
                (features[f"depth_map{side}"], float(features[f"depth_scale{side}"]))
                for side in "12"
            ),
        )
        sizes = [size for camera in record.cameras for size in (camera.width, camera.height)]
        inside = ((record.corr >= 0) & (record.corr < sizes)).all(axis=1)
        if not inside.all():
            raise BadInput(
                f"{record.key} has the correspondence {record.corr[~inside][0].tolist()} outside of"
                f" its images of {sizes[0]}x{sizes[1]} and {sizes[2]}x{sizes[3]} pixels: build its"
                " dataset anew without such."
            )
        return record

    def has_depth(self, view: int) -> bool:
        """Whether there is a depth map of view 0 or 1."""
        return bool(self._depth_maps[view][0])

    def depth(self, view: int) -> np.ndarray | None:
        """The depth map of view 0 or 1, float32 [H, W], 0 where unknown; None if there is none."""
        data, scale = self._depth_maps[view]
        return decode_depth(data, scale) if data else None


@dataclass(frozen=True)
class RegionRecord:
    """Questions about regions of an image; the four tuples of text have one entry a question."""

    KIND: ClassVar = "region"
    FEATURES: ClassVar = (
        *("image", "intrinsics", "boxes_xyxy", "questions", "answers", "qa_types", "categories"),
        *("dataset", "scene", "frame"),
    )
    IMAGES: ClassVar = ("image",)

    key: str
    """`dataset/scene/frame`."""
    image: bytes
    """The image file, PNG or JPEG."""
    camera: Camera | None
    """None where it is not known."""
    boxes_xyxy: np.ndarray
    """float32 [K, 4]: left, top, right, bottom of the regions, pixels of the image."""
    questions: tuple[str, ...]
    """`<mask>` stands for the boxes one after the other, `Region [0]` for the first one."""
    answers: tuple[str, ...]
    qa_types: tuple[str, ...]
    """'qualitative', 'quantitative' or ''."""
    categories: tuple[str, ...]
    """The raw data's own, or ''."""
    split: str

    @classmethod
    def from_features(cls, features: Mapping[str, Any]) -> Self:
        """Reads the features of a TFDS region record, whose image is not decoded.

        Raises:
            BadInput: it has no question, or texts that do not belong together, which is a fault of
                the builder.
        """
        names = ("questions", "answers", "qa_types", "categories")
        texts = {name: tuple(text.decode() for text in features[name]) for name in names}
        key = _key(features)
        if len({len(values) for values in texts.values()}) != 1 or not texts["questions"]:
            counts = ", ".join(f"{len(values)} {name}" for name, values in texts.items())
            raise BadInput(f"{key} has {counts}: build its dataset anew with as many of each.")
        is_known = not np.isnan(features["intrinsics"]).all()
        return cls(
            key=key,
            image=features["image"],
            camera=_camera(features, "intrinsics") if is_known else None,
            boxes_xyxy=features["boxes_xyxy"],
            split=_text(features, "split", ""),
            **texts,
        )


Record = DepthRecord | PairRecord | RegionRecord


def views(record: Record) -> tuple[tuple[bytes, Camera | None], ...]:
    """The image files of a record, one or two, with their cameras, None where it is not known."""
    if isinstance(record, PairRecord):
        return tuple(zip(record.images, record.cameras, strict=True))
    return ((record.image, record.camera),)


def _key(features: Mapping[str, Any]) -> str:
    return "/".join(features[name].decode() for name in ("dataset", "scene", "frame"))


def _text(features: Mapping[str, Any], name: str, default: str, known: tuple = ()) -> str:
    text = features[name].decode() if name in features else default
    if known and text not in known:
        raise BadInput(
            f"{_key(features)}: {name} is {text!r}, but must be one of {', '.join(known)}: build"
            " its dataset anew."
        )
    return text


def _camera(features: Mapping[str, Any], name: str) -> Camera:
    camera = Camera.from_array(features[name], _key(features))
    camera.check(_key(features))
    return camera


def _known_pose(features: Mapping[str, Any], name: str) -> np.ndarray:
    check_rigid(features[name], f"{_key(features)}: {name}")
    return features[name]


def _pose(features: Mapping[str, Any], name: str) -> np.ndarray | None:
    if name not in features or np.isnan(features[name]).all():
        return None
    return _known_pose(features, name)
