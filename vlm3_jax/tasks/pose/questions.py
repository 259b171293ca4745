"""Questions about a pair of views, from their poses."""

from dataclasses import dataclass

import numpy as np

from vlm3_jax.geometry.pose import relative_pose, rotation_angle_degrees, yaw_pitch_roll
from vlm3_jax.tasks.pose.answers import (
    WORD_THRESHOLD,
    format_angle,
    format_direction,
    format_distance,
    format_yaw_pitch_roll,
)
from vlm3_jax.tasks.pose.wordings import (
    ANGLE,
    DIRECTION,
    DISTANCE,
    KINDS,
    RELEASED,
    WORDINGS,
    YAW_PITCH_ROLL,
)

# Cameras nearer to each other than this, in units of the poses, have no direction between them.
MIN_BASELINE = 1e-6


@dataclass(frozen=True)
class Question:
    """One of the four questions about a pair."""

    kind: str
    """One of `KINDS`."""
    prompt: str
    answer: str
    truth: tuple[float, ...]
    """Not rounded: degrees; yaw, pitch and roll in degrees; a unit vector; metres."""


def ask(
    c2w_1: np.ndarray,
    c2w_2: np.ndarray,
    *,
    metric: bool,
    rng: np.random.Generator | None = None,
    word_threshold: float = WORD_THRESHOLD,
) -> list[Question]:
    """Makes the questions about a pair, with their answers, in the order of `KINDS`.

    The direction is left out where the cameras have one centre, the distance where the poses have
    no metric scale.

    Args:
        c2w_1: rigid camera-to-world matrix of the first view, OpenCV axes, [4, 4].
        c2w_2: the same of the second view.
        metric: whether the poses are in metres.
        rng: draws a wording of each question, for training; None asks as released.
        word_threshold: see `format_direction`.
    """
    rotation, translation = relative_pose(c2w_1, c2w_2)
    distance = float(np.linalg.norm(translation))
    angle, angles = rotation_angle_degrees(rotation), yaw_pitch_roll(rotation)
    answered = {
        ANGLE: (format_angle(angle), (angle,)),
        YAW_PITCH_ROLL: (format_yaw_pitch_roll(*angles), angles),
    }
    if distance > MIN_BASELINE:
        direction = translation / distance
        answered[DIRECTION] = format_direction(direction, word_threshold), tuple(direction.tolist())
    if metric:
        answered[DISTANCE] = format_distance(distance), (distance,)
    return [
        Question(kind, _prompt(kind, rng), *answered[kind]) for kind in KINDS if kind in answered
    ]


def _prompt(kind: str, rng: np.random.Generator | None) -> str:
    return RELEASED[kind] if rng is None else WORDINGS[kind][rng.integers(len(WORDINGS[kind]))]
