"""What models say of images, and what is read from it."""

from dataclasses import dataclass

import numpy as np

from vlm3_jax.geometry.pose import from_yaw_pitch_roll
from vlm3_jax.tasks import pose


@dataclass(frozen=True)
class ChatAnswer:
    """What the model said."""

    text: str
    token_ids: tuple[int, ...]
    finished: bool
    """Whether the answer ended before it was cut at the configured length."""


@dataclass(frozen=True)
class Match:
    """Where a pixel of the first image lies in the second."""

    xy: tuple[float, float] | None
    """Pixel of the second image as it was given, inside of it or not; None where the answer holds
    no position."""
    said: ChatAnswer


@dataclass(frozen=True)
class RelativePose:
    """How the camera moved between two images, on OpenCV axes: x right, y down, z forward."""

    stated: pose.PoseAnswer
    """What was read from the answers: degrees, and metres from checkpoints that were trained on
    metric poses."""
    said: dict[str, ChatAnswer]
    """By kind of question, see `pose.KINDS`."""

    @property
    def rotation(self) -> np.ndarray | None:
        """Takes camera-2 vectors into camera 1, [3, 3]; None without the three angles."""
        angles = self.stated.yaw_pitch_roll
        return None if angles is None else from_yaw_pitch_roll(*angles)

    @property
    def direction(self) -> np.ndarray | None:
        """Unit vector from camera 1's centre to camera 2's in camera 1's frame, [3].

        None where no vector is stated, or one without a length.
        """
        if self.stated.direction is None:
            return None
        vector = np.array(self.stated.direction)
        largest = np.abs(vector).max()
        if largest == 0:
            return None
        vector = vector / largest  # So that the square of a large number stays finite.
        return vector / np.linalg.norm(vector)

    @property
    def translation(self) -> np.ndarray | None:
        """Camera 2's centre in camera 1's frame, metres [3]; None without direction or distance."""
        direction, distance = self.direction, self.stated.distance
        return None if direction is None or distance is None else distance * direction


@dataclass(frozen=True)
class ObjectsAnswer:
    """What was said of objects."""

    prompt: str
    """The question as the model was asked it, boxes as text."""
    metres: float | None
    """The one length that the answer states, whatever its unit; None where there is none."""
    clock_hour: int | None
    """The one direction that it states, 1 to 12; None where there is none."""
    said: ChatAnswer
