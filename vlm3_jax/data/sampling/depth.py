"""From a view with labelled points to questions about their depth."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from vlm3_jax.data.images import ImageBackend
from vlm3_jax.data.records import DepthRecord
from vlm3_jax.data.sampling.samples import check_count
from vlm3_jax.data.shown import FOCAL, check_focal, decode_view, unified_camera, unify
from vlm3_jax.tasks.depth import Question, ask


@dataclass(frozen=True)
class DepthSampling:
    """How a depth record becomes questions."""

    RECORD: ClassVar = DepthRecord

    focal: float | None = FOCAL
    """Focal length in pixels that every image is resized to; None leaves images as they are."""
    per_axis: bool = False
    """Scale y by its own focal length; by default that of x scales both, as released."""
    questions_per_image: int | None = 10
    """Labelled points drawn at random in an image, without repeats (fewer where it has fewer);
    all of them if None."""

    def __post_init__(self):
        check_focal(self.focal)
        check_count("questions_per_image", self.questions_per_image)

    def ask(self, record: DepthRecord, rng: np.random.Generator, vary: bool) -> list[Question]:
        """Asks about points of a record, drawn at random, in the order drawn; see `Sampling`."""
        chosen = rng.permutation(len(record.depth_m))[: self.questions_per_image]
        unified = unified_camera(record.camera, self.focal, record.key, self.per_axis)
        return ask(record.camera, unified, record.points_xy[chosen], record.depth_m[chosen])

    def show(self, record: DepthRecord, backend: ImageBackend = "exact") -> tuple[np.ndarray, ...]:
        """The record's image as the model sees it; see `Sampling`."""
        image = decode_view(record.image, record.camera, record.key, backend)
        return (unify(image, record.camera, self.focal, record.key, self.per_axis, backend)[0],)
