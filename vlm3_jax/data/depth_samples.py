"""From a depth record to a conversation about its image."""

import math
from dataclasses import dataclass

import numpy as np

from vlm3_jax.data.chat import Sample, Turn
from vlm3_jax.data.images import decode, resize
from vlm3_jax.data.records import DepthRecord
from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.camera import Camera, unify_focal
from vlm3_jax.tasks.depth import Question, ask

# Wrong intrinsics would otherwise ask for an image that fills the memory.
_MAX_PIXELS = 10**8


@dataclass(frozen=True)
class DepthSampling:
    """How a depth record becomes questions."""

    focal: float | None = 1000.0
    """Focal length in pixels that every image is resized to; None leaves images as they are."""
    per_axis: bool = False
    """Scale y by its own focal length; by default that of x scales both, as released."""
    questions_per_image: int | None = 10
    """Labelled points drawn at random in an image, without repeats (fewer where it has fewer);
    all of them if None."""

    def __post_init__(self):
        if self.focal is not None and not 0 < self.focal < math.inf:
            raise BadInput(f"focal is {self.focal}, but must be a positive number of pixels.")
        if self.questions_per_image is not None and self.questions_per_image < 1:
            raise BadInput(
                f"questions_per_image is {self.questions_per_image}, but must be at least 1,"
                " or None for all."
            )

    def unify(self, camera: Camera, name: str) -> Camera:
        """The camera of the image as the model sees it.

        Raises:
            BadInput: the image, called `name`, would have no pixel left or too many.
        """
        if self.focal is None:
            return camera
        try:
            unified = unify_focal(camera, self.focal, self.per_axis)
        except BadInput as error:
            raise BadInput(f"{name}: {error}") from error
        if unified.width * unified.height > _MAX_PIXELS:
            raise BadInput(
                f"{name} would be {unified.width}x{unified.height} at a focal length of"
                f" {self.focal:g} pixels: check its intrinsics, or choose a smaller focal."
            )
        return unified


def draw_questions(
    record: DepthRecord, sampling: DepthSampling, rng: np.random.Generator
) -> list[Question]:
    """Asks about points of a record, drawn at random, in the order drawn."""
    chosen = rng.permutation(len(record.depth_m))[: sampling.questions_per_image]
    unified = sampling.unify(record.camera, record.key)
    return ask(record.camera, unified, record.points_xy[chosen], record.depth_m[chosen])


def shown_image(record: DepthRecord, sampling: DepthSampling) -> np.ndarray:
    """The record's image as the model sees it, uint8 [H, W, 3].

    Raises:
        BadInput: it does not decode, or is not of the size that its intrinsics name.
    """
    image, camera = decode(record.image, record.key), record.camera
    if image.shape[:2] != (camera.height, camera.width):
        raise BadInput(
            f"{record.key} is {image.shape[1]}x{image.shape[0]}, but its intrinsics are those of a"
            f" {camera.width}x{camera.height} image: correct one of them."
        )
    unified = sampling.unify(camera, record.key)
    return resize(image, unified.width, unified.height)


def training_sample(
    record: DepthRecord, sampling: DepthSampling, rng: np.random.Generator
) -> Sample:
    """A conversation with answers."""
    turns = [Turn(q.prompt, q.answer) for q in draw_questions(record, sampling, rng)]
    return Sample((shown_image(record, sampling),), tuple(turns), record.key)


def evaluation_sample(
    record: DepthRecord,
    sampling: DepthSampling,
    rng: np.random.Generator,
    shown: DepthRecord | None = None,
) -> tuple[Sample, list[Question]]:
    """A conversation that waits for its answers, and what is known about its questions.

    Args:
        record: what is asked about.
        sampling: how.
        rng: draws the points.
        shown: the record whose image is shown, `record` itself if None. Another one makes the
            control of what a model knows without looking.
    """
    questions = draw_questions(record, sampling, rng)
    image = shown_image(shown or record, sampling)
    return Sample((image,), tuple(Turn(q.prompt) for q in questions), record.key), questions
