"""From a pair of views to questions about which pixels correspond."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from vlm3_jax.data.images import ImageBackend
from vlm3_jax.data.records import PairRecord
from vlm3_jax.data.sampling.samples import check_count
from vlm3_jax.data.shown import LONGER_SIDE, check_longer_side, decode_view, fit
from vlm3_jax.tasks.correspondence import Question, ask


@dataclass(frozen=True)
class CorrespondenceSampling:
    """How a pair becomes questions."""

    RECORD: ClassVar = PairRecord

    longer_side: int = LONGER_SIDE
    """Pixels that the longer side of each image is resized to."""
    questions_per_pair: int | None = 10
    """Correspondences drawn at random, without repeats (fewer where there are fewer); all of them
    if None."""
    directions: Literal["forward", "both"] = "forward"
    """Ask for pixels of the second image only, or as often for those of the first."""
    think: bool = False
    """Ask for and answer with a thought before the answer."""

    def __post_init__(self):
        check_longer_side(self.longer_side)
        check_count("questions_per_pair", self.questions_per_pair)

    def ask(self, record: PairRecord, rng: np.random.Generator, vary: bool) -> list[Question]:
        """Asks about correspondences, drawn at random, in the order drawn; see `Sampling`."""
        chosen = record.corr[rng.permutation(len(record.corr))[: self.questions_per_pair]]
        backward = np.zeros(len(chosen), bool)
        if self.directions == "both":
            backward = rng.random(len(chosen)) < 0.5
        sizes = [(camera.width, camera.height) for camera in record.cameras]
        return [
            question
            for match, is_backward in zip(chosen, backward, strict=True)
            for question in ask(*sizes, match, backward=bool(is_backward), think=self.think)
        ]

    def show(self, record: PairRecord, backend: ImageBackend = "exact") -> tuple[np.ndarray, ...]:
        """Both images as the model sees them; see `Sampling`."""
        names = (f"image 1 of {record.key}", f"image 2 of {record.key}")
        return tuple(
            fit(decode_view(image, camera, name, backend), self.longer_side, name, backend)
            for image, camera, name in zip(record.images, record.cameras, names, strict=True)
        )
