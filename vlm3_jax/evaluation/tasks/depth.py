"""Depth at points: delta1 and the errors in metres."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from vlm3_jax.evaluation.judging import Judged, Measure, Metrics, Said
from vlm3_jax.tasks import depth
from vlm3_jax.tasks.averages import mean


@dataclass(frozen=True)
class DepthJudge:
    """Judges depths in metres; `error` is |answer - truth| / truth."""

    EXPECTED: ClassVar = depth.format_answer(1.23)

    def judge(self, question: depth.Question, image: str, said: Said) -> Judged:
        """See `Judge`."""
        parsed = depth.parse_answer(said.text)
        is_usable = parsed is not None and parsed > 0
        return Judged(
            question=question,
            image=image,
            parsed=parsed,
            score=int(depth.is_correct(parsed, question.truth)),
            error=abs(parsed - question.truth) / question.truth if is_usable else None,
            is_read=parsed is not None,
            certainty=depth.certainty(*said.distribution) if said.distribution else None,
        )

    def metrics(self, judged: Sequence[Judged]) -> Metrics:
        """See `Judge`."""
        score = _score(judged)
        metrics = {
            "delta1": score.delta1,
            "delta1_parsed_only": score.delta1_parsed_only,
            "abs_rel": score.abs_rel,
            "rmse": score.rmse,
        }
        return metrics | _certainty_metrics(judged)

    def measures(self, judged: Sequence[Judged]) -> dict[str, Measure]:
        """See `Judge`."""
        usable = [one for one in judged if one.error is not None]
        certain = [one for one in judged if one.certainty is not None]
        of_all = {"delta1": Measure(*_columns(judged, [one.score for one in judged]))}
        if usable:
            scores, errors = [one.score for one in usable], [one.error for one in usable]
            metres = [one.parsed - one.question.truth for one in usable]
            of_all |= {
                "delta1_parsed_only": Measure(*_columns(usable, scores)),
                "abs_rel": Measure(*_columns(usable, errors)),
                "rmse": Measure(*_columns(usable, metres), lambda x: math.sqrt(np.mean(x**2))),
            }
        if certain:
            of_all["delta1_likely"] = Measure(*_columns(certain, _likely_scores(certain)))
        return of_all

    def counts(self, judged: Sequence[Judged]) -> dict[str, int]:
        """See `Judge`."""
        return {"nonpositive": _score(judged).num_nonpositive}

    def facts(self) -> dict[str, Any]:
        """See `Judge`."""
        return {}

    def best_constant(self, judged: Sequence[Judged]) -> dict[str, Any]:
        """The depth that is right most often."""
        metres, delta1 = depth.best_constant([one.question.truth for one in judged])
        return {"metres": metres, "delta1": delta1}

    def record(self, judged: Judged) -> dict[str, Any]:
        """See `Judge`."""
        question, certainty = judged.question, judged.certainty
        fields = {"truth": question.truth, "point_xy": question.point_xy}
        return fields | ({} if certainty is None else depth.certainty_record(certainty))


def _score(judged: Sequence[Judged]) -> depth.DepthScore:
    return depth.score([one.parsed for one in judged], [one.question.truth for one in judged])


def _columns(judged: Sequence[Judged], values: Sequence[float]) -> tuple[np.ndarray, list[str]]:
    return np.array(values, np.float64), [one.image for one in judged]


def _likely_scores(certain: Sequence[Judged]) -> list[bool]:
    return [depth.is_correct(one.certainty.likely, one.question.truth) for one in certain]


def _certainty_metrics(judged: Sequence[Judged]) -> Metrics:
    """How good the likeliest values would have been, and how far confidences can be believed."""
    certain = [one for one in judged if one.certainty is not None]
    if not certain:
        return {}
    pairs = [(one.certainty, one.question.truth) for one in certain]
    ranges = [(one.low, truth, one.high) for one, truth in pairs if one.low is not None]
    return {
        "delta1_likely": mean(_likely_scores(certain)),
        "mean_confidence": mean([one.confidence for one, _ in pairs]),
        "mean_unexplained": mean([one.unexplained for one, _ in pairs]),
        "ranges": len(ranges) / len(pairs),
        "truth_in_range": mean([low <= truth <= high for low, truth, high in ranges]),
    }
