"""From questions about regions to questions with boxes as text."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from vlm3_jax.data.images import ImageBackend, decode, image_size
from vlm3_jax.data.records import RegionRecord
from vlm3_jax.data.sampling.samples import check_count
from vlm3_jax.data.shown import FOCAL, check_focal, decode_view, unify
from vlm3_jax.errors import BadInput
from vlm3_jax.tasks.objects import Question, from_record


@dataclass(frozen=True)
class ObjectsSampling:
    """How a region record becomes questions."""

    RECORD: ClassVar = RegionRecord

    focal: float | None = FOCAL
    """Focal length in pixels that images of known intrinsics are resized to; None leaves all images
    as they are."""
    per_axis: bool = False
    """Scale y by its own focal length; by default that of x scales both, as released."""
    questions_per_image: int | None = 10
    """Drawn at random, without repeats (fewer where there are fewer); all of them if None."""

    def __post_init__(self):
        check_focal(self.focal)
        check_count("questions_per_image", self.questions_per_image)

    def ask(self, record: RegionRecord, rng: np.random.Generator, vary: bool) -> list[Question]:
        """Asks the record's questions, drawn at random, in the order drawn; see `Sampling`."""
        chosen = rng.permutation(len(record.questions))[: self.questions_per_image]
        width, height = image_size(record.image, record.key)
        try:
            return [
                from_record(
                    category=record.categories[index],
                    question=record.questions[index],
                    answer=record.answers[index],
                    boxes_xyxy=record.boxes_xyxy,
                    width=width,
                    height=height,
                )
                for index in chosen
            ]
        except BadInput as error:
            raise BadInput(f"{record.key}: {error}") from error

    def show(self, record: RegionRecord, backend: ImageBackend = "exact") -> tuple[np.ndarray, ...]:
        """The record's image as the model sees it; see `Sampling`."""
        camera = record.camera
        if camera is None:
            return (decode(record.image, record.key, backend),)
        image = decode_view(record.image, camera, record.key, backend)
        return (unify(image, camera, self.focal, record.key, self.per_axis, backend)[0],)
