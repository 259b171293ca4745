"""What a dataset gives: one image with labelled points."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.camera import Camera


@dataclass(frozen=True)
class DepthRecord:
    """A view with the depth of some of its pixels."""

    FEATURES = ("image", "intrinsics", "points_xy", "depth_m", "dataset", "scene", "frame")
    """Names in a TFDS depth record of what is read here."""

    key: str
    """`dataset/scene/frame`."""
    image: bytes
    """The image file, PNG or JPEG."""
    camera: Camera
    points_xy: np.ndarray
    """float32 [N, 2], pixels of the image; N is at least 1."""
    depth_m: np.ndarray
    """float32 [N], metres, positive."""

    @classmethod
    def from_features(cls, features: Mapping[str, Any]) -> "DepthRecord":
        """Reads the features of a TFDS depth record, whose image is not decoded.

        Raises:
            BadInput: the camera or the labels cannot be used. Builders leave such views and points
                out, so one that is found here is a fault of the builder.
        """
        names = (features[name].decode() for name in ("dataset", "scene", "frame"))
        record = cls(
            key="/".join(names),
            image=features["image"],
            camera=Camera.from_array(features["intrinsics"]),
            points_xy=features["points_xy"],
            depth_m=features["depth_m"],
        )
        record.camera.check(record.key)
        record._check_labels()
        return record

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
