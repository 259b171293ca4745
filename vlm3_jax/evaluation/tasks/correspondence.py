"""Correspondence: end-point errors."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from vlm3_jax.evaluation.judging import Judged, Measure, Metrics, Said
from vlm3_jax.tasks import correspondence

RESOLUTION = (600, 400)
"""Width and height that errors in pixels are stated at: those of the pair that VLM3 released."""

_LIMITS = (1, 3, 5)


@dataclass(frozen=True)
class CorrespondenceJudge:
    """Judges positions; `error` is the end-point error in 1/1000 of the image's sides."""

    EXPECTED: ClassVar = correspondence.format_answer((123, 456))

    def judge(self, question: correspondence.Question, image: str, said: Said) -> Judged:
        """See `Judge`."""
        parsed = correspondence.parse_answer(said.text)
        if parsed is None:
            return Judged(question, image, None, is_read=False)
        error = correspondence.score([parsed], [question.truth], RESOLUTION).epe_mean
        return Judged(question, image, parsed, error=error)

    def metrics(self, judged: Sequence[Judged]) -> Metrics:
        """See `Judge`."""
        return _metrics([one.parsed for one in judged], _truths(judged))

    def measures(self, judged: Sequence[Judged]) -> dict[str, Measure]:
        """See `Judge`."""
        images, errors_px = [one.image for one in judged], _errors_px(judged)
        is_read = np.isfinite(errors_px)
        read_images = [one.image for one in judged if one.is_read]
        errors = np.array([one.error for one in judged if one.is_read], np.float64)
        measures = {
            f"under_{limit}_px": Measure((errors_px < limit).astype(np.float64), images)
            for limit in _LIMITS
        } | {"unparsed": Measure((~is_read).astype(np.float64), images)}
        if len(errors):
            measures |= {
                "epe_mean": Measure(errors, read_images),
                "epe_median": Measure(errors, read_images, np.median),
                "epe_px_mean": Measure(errors_px[is_read], read_images),
                "epe_px_median": Measure(errors_px[is_read], read_images, np.median),
            }
        return measures

    def counts(self, judged: Sequence[Judged]) -> dict[str, int]:
        """See `Judge`."""
        return {}

    def facts(self) -> dict[str, Any]:
        """See `Judge`."""
        return {"resolution": list(RESOLUTION)}

    def best_constant(self, judged: Sequence[Judged]) -> dict[str, Any]:
        """The position with the least mean end-point error in 1/1000, the geometric median.

        `same_position_epe_mean` and the like are of another answer without looking, and not a
        constant: the very position that is asked about.
        """
        truths = _truths(judged)
        position = geometric_median(truths)
        same = _metrics([one.question.point for one in judged], truths)
        return {
            "position": list(position),
            **_metrics([position] * len(judged), truths),
            **{f"same_position_{name}": value for name, value in same.items()},
        }

    def record(self, judged: Judged) -> dict[str, Any]:
        """See `Judge`."""
        question = judged.question
        names = ("truth", "point_xy", "truth_xy", "backward")
        return {name: getattr(question, name) for name in names}


def geometric_median(points: np.ndarray) -> tuple[float, float]:
    """The place with the least sum of distances to points [N, 2]; Weiszfeld's algorithm."""
    place = points.mean(axis=0)
    for _ in range(200):
        # A place on a point would get all the weight; the margin is far below what text states.
        weights = 1 / np.maximum(np.linalg.norm(points - place, axis=1), 1e-6)
        place = weights @ points / weights.sum()
    x, y = place.tolist()
    return x, y


def _metrics(positions: Sequence[tuple[float, float] | None], truths: np.ndarray) -> Metrics:
    score = dataclasses.asdict(correspondence.score(positions, truths, RESOLUTION))
    return {name: value for name, value in score.items() if not name.startswith("num_")}


def _truths(judged: Sequence[Judged]) -> np.ndarray:
    return np.array([one.question.truth for one in judged], np.float64)


def _errors_px(judged: Sequence[Judged]) -> np.ndarray:
    """Errors in pixels, infinite where an answer cannot be read."""
    unread = (np.inf, np.inf)
    said = np.array([one.parsed or unread for one in judged], np.float64)
    apart = (said - _truths(judged)) * RESOLUTION / correspondence.COORDINATE_SCALE
    return np.hypot(*apart.T)
