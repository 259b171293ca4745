"""Camera pose: a pair's answers together are one pose."""

import dataclasses
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from vlm3_jax.evaluation.judging import Judged, Measure, Metrics, Said
from vlm3_jax.geometry.pose import (
    direction_error_degrees,
    from_yaw_pitch_roll,
    rotation_angle_degrees,
    yaw_pitch_roll,
)
from vlm3_jax.tasks import pose
from vlm3_jax.tasks.averages import weighted_median
from vlm3_jax.tasks.pose.scoring import LIMITS, PoseAnswer, pair_errors

_MAX_CANDIDATES = 500


@dataclass(frozen=True)
class PoseJudge:
    """Judges poses.

    `error` is of one answer: |answer - truth| of the angle in degrees, the angle to the true
    rotation, the angle to the true direction (0 to 180 degrees), |answer - truth| / (truth + 1e-4)
    of the distance.
    """

    EXPECTED: ClassVar = pose.format_yaw_pitch_roll(1.2, 3.4, 5.6)  # The longest of the four.

    def judge(self, question: pose.Question, image: str, said: Said) -> Judged:
        """See `Judge`."""
        parsed = pose.parse_answer(question.kind, said.text)
        if parsed is None:
            return Judged(question, image, None, is_read=False)
        return Judged(question, image, parsed, error=_error(question, parsed))

    def metrics(self, judged: Sequence[Judged]) -> Metrics:
        """See `Judge`."""
        return _metrics(list(_pairs(judged)))

    def measures(self, judged: Sequence[Judged]) -> dict[str, Measure]:
        """See `Judge`."""
        pairs = list(_pairs(judged))
        keys = [pair.key for pair in pairs]
        errors = [pair_errors(pair.answer, pair.rotation, pair.translation) for pair in pairs]
        rotation, direction, signed = np.array(errors).T
        measures = {
            f"auc_{limit}{suffix}": Measure(
                np.maximum(rotation, of), keys, lambda drawn, limit=limit: pose.auc(drawn, limit)
            )
            for suffix, of in (("", direction), ("_signed", signed))
            for limit in LIMITS
        }
        columns = {
            "rotation_error": rotation,
            "direction_error": direction,
            "direction_error_signed": signed,
        }
        for name, column in columns.items():
            if (read := np.isfinite(column)).any():
                of_read = [key for key, is_read in zip(keys, read, strict=True) if is_read]
                measures[f"{name}_mean"] = Measure(column[read], of_read)
                measures[f"{name}_median"] = Measure(column[read], of_read, np.median)
        for kind, name in (("angle", "angle_error_mean"), ("distance", "distance_abs_rel")):
            read = [one for one in judged if one.question.kind == kind and one.is_read]
            if read:
                values = np.array([one.error for one in read], np.float64)
                measures[name] = Measure(values, [one.image for one in read])
        return measures

    def counts(self, judged: Sequence[Judged]) -> dict[str, int]:
        """Pairs, and of each kind the answers that cannot be read.

        The direction is not asked where the cameras have one centre; no answer is right there.
        """
        pairs = list(_pairs(judged))
        unread = {
            f"unparsed_{kind}": sum(one.question.kind == kind and not one.is_read for one in judged)
            for kind in pose.KINDS
        }
        return {
            "pairs": len(pairs),
            "metric_pairs": sum(pair.is_metric for pair in pairs),
            "pairs_without_direction": sum(not pair.translation.any() for pair in pairs),
            **unread,
        }

    def facts(self) -> dict[str, Any]:
        """See `Judge`."""
        return {}

    def best_constant(self, judged: Sequence[Judged]) -> dict[str, Any]:
        """The pose with the best AUC@30: a pair's truth, or no turn along the main direction.

        Of many pairs 500, spread evenly, are tried. The distance is the one with the least AbsRel.
        """
        pairs = list(_pairs(judged))
        rotation, direction = _best_pose(pairs)
        lengths = [np.linalg.norm(pair.translation) for pair in pairs if pair.is_metric]
        said = {
            "angle": rotation_angle_degrees(rotation),
            "yaw_pitch_roll": list(yaw_pitch_roll(rotation)),
            "direction": direction.tolist(),
            "distance": weighted_median(lengths, 1 / (np.array(lengths) + 1e-4)),
        }
        same = [dataclasses.replace(pair, answer=PoseAnswer(**said)) for pair in pairs]
        return said | _metrics(same)

    def record(self, judged: Judged) -> dict[str, Any]:
        """See `Judge`."""
        truth = judged.question.truth
        return {"kind": judged.question.kind, "truth": truth[0] if len(truth) == 1 else truth}


@dataclass(frozen=True)
class _Pair:
    key: str
    answer: PoseAnswer
    rotation: np.ndarray
    """[3, 3]."""
    translation: np.ndarray
    """[3], of length 1 where it has no scale; zero where the cameras have one centre."""
    is_metric: bool


def _pairs(judged: Sequence[Judged]) -> Iterable[_Pair]:
    """Puts the answers about each pair together, and the truths too."""
    by_pair: dict[str, list[Judged]] = {}
    for one in judged:
        by_pair.setdefault(one.image, []).append(one)
    for key, ones in by_pair.items():
        truths = {one.question.kind: one.question.truth for one in ones}
        (length,) = truths.get("distance", (1.0,))
        yield _Pair(
            key=key,
            answer=PoseAnswer(**{one.question.kind: one.parsed for one in ones}),
            rotation=from_yaw_pitch_roll(*truths["yaw_pitch_roll"]),
            translation=length * np.array(truths.get("direction", (0.0, 0.0, 0.0))),
            is_metric="distance" in truths,
        )


def _metrics(pairs: Sequence[_Pair]) -> Metrics:
    score = pose.score(
        [pair.answer for pair in pairs],
        np.array([pair.rotation for pair in pairs]),
        np.array([pair.translation for pair in pairs]),
        [pair.is_metric for pair in pairs],
    )
    fields = dataclasses.asdict(score)
    return {name: value for name, value in fields.items() if not name.startswith("num_")}


def _error(question: pose.Question, parsed: float | tuple[float, ...]) -> float:
    truth = question.truth
    if question.kind == "yaw_pitch_roll":
        stated, true = from_yaw_pitch_roll(*parsed), from_yaw_pitch_roll(*truth)
        return rotation_angle_degrees(stated.T @ true)
    if question.kind == "direction":
        return direction_error_degrees(parsed, truth, signed=True)
    (true,) = truth
    return abs(parsed - true) / (true + 1e-4 if question.kind == "distance" else 1.0)


def _best_pose(pairs: Sequence[_Pair]) -> tuple[np.ndarray, np.ndarray]:
    """A rotation [3, 3] and a direction [3]."""
    rotations = np.array([pair.rotation for pair in pairs])
    lengths = [max(np.linalg.norm(pair.translation), 1e-300) for pair in pairs]
    directions = np.array([pair.translation for pair in pairs]) / np.array(lengths)[:, None]
    # The axis that all directions lie along best, whatever their signs.
    axis = np.linalg.eigh(directions.T @ directions)[1][:, -1]
    every = math.ceil(len(pairs) / _MAX_CANDIDATES)
    moved = [i for i in range(0, len(pairs), every) if directions[i].any()]
    candidates = [(np.eye(3), axis), *((rotations[i], directions[i]) for i in moved)]

    def auc_30(candidate: tuple[np.ndarray, np.ndarray]) -> float:
        rotation, direction = candidate
        cosines = (np.einsum("nij,ij->n", rotations, rotation) - 1) / 2
        turned = np.degrees(np.arccos(np.clip(cosines, -1, 1)))
        apart = np.degrees(np.arccos(np.clip(np.abs(directions @ direction), 0, 1)))
        return pose.auc(np.maximum(turned, apart), 30)

    return max(candidates, key=auc_30)
