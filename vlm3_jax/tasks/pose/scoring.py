"""Scores of answers about pairs of views."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.pose import (
    direction_error_degrees,
    from_yaw_pitch_roll,
    rotation_angle_degrees,
)
from vlm3_jax.tasks.averages import mean, median
from vlm3_jax.tasks.pose.wordings import DISTANCE, KINDS

LIMITS = (5, 10, 30)


@dataclass(frozen=True)
class PoseAnswer:
    """What was read from the answers about a pair; None where one cannot be read or is missing."""

    angle: float | None = None
    """Degrees."""
    yaw_pitch_roll: tuple[float, float, float] | None = None
    """Degrees."""
    direction: tuple[float, float, float] | None = None
    """In the first camera's frame, of any length."""
    distance: float | None = None
    """Metres."""


@dataclass(frozen=True)
class PoseScore:
    """Errors of poses; those of one kind are over its parsed answers, None without any."""

    auc_5: float
    """Area under the curve of pairs against max(rotation error, direction error), up to 5 degrees.

    Over all pairs; one whose angles or direction cannot be parsed fails at every limit. Opposite
    directions count as equal, as in the benchmarks of VGGT, MapAnything and Depth Anything 3."""
    auc_10: float
    auc_30: float
    auc_5_signed: float
    """The same where opposite directions are 180 degrees apart, as in VLM3's demo."""
    auc_10_signed: float
    auc_30_signed: float
    rotation_error_mean: float | None
    """Angle between the stated and the true rotation, degrees."""
    rotation_error_median: float | None
    direction_error_mean: float | None
    """Unsigned, 0 to 90 degrees."""
    direction_error_median: float | None
    direction_error_signed_mean: float | None
    """0 to 180 degrees."""
    direction_error_signed_median: float | None
    angle_error_mean: float | None
    """|stated - true| total rotation angle, degrees."""
    distance_abs_rel: float | None
    """Mean of |stated - true| / (true + 1e-4 m), over the metric pairs."""
    num_pairs: int
    num_metric_pairs: int
    num_unparsed: dict[str, int]
    """By kind of question; of distances over the metric pairs only."""


def auc(errors: Sequence[float] | np.ndarray, limit: int) -> float:
    """Mean over whole degrees 1 to `limit` of the share of errors below that many degrees.

    An error equal to the limit counts in the last degree; an infinite one or NaN in none.
    """
    counts, _ = np.histogram(errors, bins=np.arange(limit + 1))
    return float(np.mean(np.cumsum(counts) / len(errors)))


def pair_errors(
    answer: PoseAnswer, rotation: np.ndarray, translation: np.ndarray
) -> tuple[float, float, float]:
    """Rotation error, direction error unsigned and signed, degrees; infinite where unparsed."""
    rotation_error = direction_error = signed = math.inf
    if answer.yaw_pitch_roll is not None:
        stated = from_yaw_pitch_roll(*answer.yaw_pitch_roll)
        rotation_error = rotation_angle_degrees(stated.T @ rotation)
    if answer.direction is not None:
        direction_error = direction_error_degrees(answer.direction, translation, signed=False)
        signed = direction_error_degrees(answer.direction, translation, signed=True)
    return rotation_error, direction_error, signed


def score(
    answers: Sequence[PoseAnswer],
    rotations: np.ndarray,
    translations: np.ndarray,
    metric: Sequence[bool] | np.ndarray,
) -> PoseScore:
    """Scores the answers about pairs against their relative poses.

    Args:
        answers: of each pair, N.
        rotations: camera 2 to camera 1, see `geometry.pose.relative_pose`, [N, 3, 3].
        translations: camera 2's centre in camera 1's frame, [N, 3]; where it is zero the direction
            error is 90 degrees, whatever was answered.
        metric: whether the pair's poses are in metres, so that its distance counts, [N].

    Raises:
        BadInput: there is nothing to score.
    """
    if not len(answers):
        raise BadInput("there are no pairs to score: check the dataset and its split.")
    truths = list(zip(answers, rotations, translations, metric, strict=True))
    errors = np.array([pair_errors(answer, r, t) for answer, r, t, _ in truths])
    rotation, unsigned, signed = errors.T
    aucs = {
        name: auc(np.maximum(rotation, direction), limit)
        for suffix, direction in (("", unsigned), ("_signed", signed))
        for limit in LIMITS
        for name in [f"auc_{limit}{suffix}"]
    }
    angle_errors = [
        abs(answer.angle - rotation_angle_degrees(r))
        for answer, r, _, _ in truths
        if answer.angle is not None
    ]
    lengths = [
        (answer.distance, float(np.linalg.norm(t))) for answer, _, t, metres in truths if metres
    ]
    unparsed = {kind: sum(getattr(answer, kind) is None for answer in answers) for kind in KINDS}
    unparsed[DISTANCE] = sum(stated is None for stated, _ in lengths)
    return PoseScore(
        **aucs,
        rotation_error_mean=mean(_parsed(rotation)),
        rotation_error_median=median(_parsed(rotation)),
        direction_error_mean=mean(_parsed(unsigned)),
        direction_error_median=median(_parsed(unsigned)),
        direction_error_signed_mean=mean(_parsed(signed)),
        direction_error_signed_median=median(_parsed(signed)),
        angle_error_mean=mean(angle_errors),
        distance_abs_rel=mean(
            [abs(p - truth) / (truth + 1e-4) for p, truth in lengths if p is not None]
        ),
        num_pairs=len(truths),
        num_metric_pairs=len(lengths),
        num_unparsed=unparsed,
    )


def _parsed(errors: np.ndarray) -> list[float]:
    return errors[np.isfinite(errors)].tolist()
