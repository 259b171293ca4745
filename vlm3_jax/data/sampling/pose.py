"""From a pair of views to questions about how the camera moved."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from vlm3_jax.data.images import ImageBackend
from vlm3_jax.data.records import PairRecord
from vlm3_jax.data.sampling.samples import check_count
from vlm3_jax.data.shown import POSE_FOCAL, check_focal, decode_view, unify
from vlm3_jax.tasks.pose import WORD_THRESHOLD, Question, ask

METRIC_SCALES = ("metric", "estimated_metric")
"""Scale types of pairs whose distance is asked for (VLM3's labels)."""


@dataclass(frozen=True)
class PoseSampling:
    """How a pair becomes questions."""

    RECORD: ClassVar = PairRecord

    focal: float | None = POSE_FOCAL
    """Focal length in pixels that every image is resized to; None leaves images as they are."""
    per_axis: bool = False
    """Scale y by its own focal length; by default that of x scales both, as released."""
    questions_per_pair: int | None = None
    """Of the four kinds, drawn at random; all that the pair can answer if None."""
    word_threshold: float = WORD_THRESHOLD
    """Share of the direction from which an axis is named in words; not published."""

    def __post_init__(self):
        check_focal(self.focal)
        check_count("questions_per_pair", self.questions_per_pair)

    def ask(self, record: PairRecord, rng: np.random.Generator, vary: bool) -> list[Question]:
        """Asks what the poses can answer, all in order or some as drawn; see `Sampling`."""
        questions = ask(
            *record.c2w,
            metric=record.scale_type in METRIC_SCALES,
            rng=rng if vary else None,
            word_threshold=self.word_threshold,
        )
        if self.questions_per_pair is None:
            return questions
        chosen = rng.permutation(len(questions))[: self.questions_per_pair]
        return [questions[index] for index in chosen]

    def show(self, record: PairRecord, backend: ImageBackend = "exact") -> tuple[np.ndarray, ...]:
        """Both images as the model sees them; see `Sampling`."""
        names = (f"image 1 of {record.key}", f"image 2 of {record.key}")
        views = zip(record.images, record.cameras, names, strict=True)
        return tuple(
            unify(
                decode_view(image, camera, name, backend),
                camera,
                self.focal,
                name,
                self.per_axis,
                backend,
            )[0]
            for image, camera, name in views
        )
