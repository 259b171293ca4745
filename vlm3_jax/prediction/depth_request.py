"""What `predict --task=depth` is asked, and about which images."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vlm3_jax.errors import BadInput
from vlm3_jax.prediction.images import read_image
from vlm3_jax.prediction.intrinsics import CameraOptions, KnownCamera
from vlm3_jax.prediction.points import PointOptions, Selection
from vlm3_jax.prediction.predictor import PointQuery
from vlm3_jax.prediction.request import Request


@dataclass(frozen=True, kw_only=True)
class DepthRequest(Request):
    """What is asked."""

    image: Path
    """An image, or a folder of images."""
    camera: CameraOptions
    points: PointOptions
    kind: Literal["euclid", "z"]
    """What the checkpoint was taught to say: distance from the camera's centre, or depth along its
    axis. The numbers stay as they were said; the point cloud depends on it."""
    focal: float

    def __post_init__(self):
        if self.out is None and self.image.is_dir():
            raise BadInput("--image is a folder, so the results need one too: give --out.")
        if self.out is None and self.points.is_map:
            raise BadInput("a map is written to files: give a folder for them as --out.")


@dataclass(frozen=True)
class View:
    """An image that can be asked about."""

    path: Path
    out: Path | None
    known: KnownCamera
    selection: Selection

    def query(self) -> PointQuery:
        """The question about it; the image is read again, so that only few are in memory."""
        return PointQuery(
            read_image(self.path), self.known.camera, self.selection.points_xy, str(self.path)
        )
