"""Objects: qualitative accuracy, lengths, directions."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from vlm3_jax.evaluation.judging import Judged, Measure, Metrics, Said
from vlm3_jax.tasks import objects
from vlm3_jax.tasks.averages import weighted_median
from vlm3_jax.tasks.objects.questions import DIRECTION, LENGTHS, QUANTITATIVE
from vlm3_jax.tasks.objects.scoring import (
    EXTERNAL,
    RULE_BASED,
    Judge,
    Verdict,
    by_rules,
    compare,
)


@dataclass(frozen=True)
class ObjectsJudge:
    """Judges answers about objects; `score` is 1 for a success, `error` as in `Verdict`.

    Questions without a category are asked, and neither judged nor scored.
    """

    EXPECTED: ClassVar = None

    verdict_of: Judge = by_rules
    """Gives the verdict on an answer's text, for example by asking a language model."""

    def judge(self, question: objects.Question, image: str, said: Said) -> Judged:
        """See `Judge`."""
        if not question.category:
            return Judged(question, image, None)
        verdict = self.verdict_of(question, said.text)
        return Judged(
            question=question,
            image=image,
            parsed=objects.parse_answer(question.category, said.text, question.regions),
            score=int(verdict.success),
            error=verdict.error,
            is_read=verdict.parsed,
        )

    def metrics(self, judged: Sequence[Judged]) -> Metrics:
        """See `Judge`."""
        scored = _scored(judged)
        verdicts = [Verdict(bool(one.score), one.error, one.is_read) for one in scored]
        return _metrics([one.question for one in scored], verdicts)

    def measures(self, judged: Sequence[Judged]) -> dict[str, Measure]:
        """See `Judge`."""
        scored = _scored(judged)
        measures = {
            "qualitative_accuracy": _measure(scored, _is_qualitative, "score"),
            "quantitative_success": _measure(scored, _is_quantitative, "score"),
            "abs_rel": _measure(scored, _is_length, "error"),
            "direction_error_degrees": _measure(scored, _is_direction, "error"),
        }
        return {name: measure for name, measure in measures.items() if measure is not None}

    def counts(self, judged: Sequence[Judged]) -> dict[str, int]:
        """Questions that cannot be scored, and those that count as wrong whatever is answered."""
        scored = _scored(judged)
        score = objects.summarize(
            [one.question for one in scored], [Verdict(success=False)] * len(scored)
        )
        return {
            "without_category": len(judged) - len(scored),
            "without_truth": score.num_without_truth,
            **{f"questions_{_flat(name)}": number for name, number in score.num_questions.items()},
        }

    def facts(self) -> dict[str, Any]:
        """See `Judge`."""
        return {"judged_by": RULE_BASED if self.verdict_of is by_rules else EXTERNAL}

    def best_constant(self, judged: Sequence[Judged]) -> dict[str, Any]:
        """What is right most often in each category; for `abs_rel` lengths with the least error."""
        questions = [one.question for one in _scored(judged)]
        by_category: dict[str, list[objects.Question]] = {}
        for question in questions:
            if question.truth is not None:
                by_category.setdefault(question.category, []).append(question)
        right = {name: _most_right(of) for name, of in by_category.items()}
        near = {name: _nearest(of) for name, of in by_category.items() if name in LENGTHS}

        def reached(said: dict[str, Any]) -> Metrics:
            verdicts = [compare(q, said.get(q.category)) for q in questions]
            return _metrics(questions, verdicts)

        return {"answers": right} | reached(right) | _abs_rel(reached(near))

    def record(self, judged: Judged) -> dict[str, Any]:
        """See `Judge`; boxes are in 1/1000 of the image's sides."""
        question = judged.question
        return {
            "truth": question.truth,
            "truth_text": question.answer,
            "category": question.category,
            "boxes": [list(map(int, re.findall("[0-9]+", name))) for name in question.regions],
        }


def _scored(judged: Sequence[Judged]) -> list[Judged]:
    return [one for one in judged if one.question.category]


def _is_direction(category: str) -> bool:
    return category == DIRECTION


def _is_length(category: str) -> bool:
    return category in LENGTHS


def _is_quantitative(category: str) -> bool:
    return category in QUANTITATIVE


def _is_qualitative(category: str) -> bool:
    return category not in QUANTITATIVE


def _measure(scored: Sequence[Judged], of: Callable[[str], bool], name: str) -> Measure | None:
    """A mean over the questions of some categories that have the value; None without any."""
    pairs = [(getattr(one, name), one.image) for one in scored if of(one.question.category)]
    pairs = [(value, image) for value, image in pairs if value is not None]
    if not pairs:
        return None
    values, images = zip(*pairs, strict=True)
    return Measure(np.array(values, np.float64), images)


def _metrics(questions: Sequence[objects.Question], verdicts: Sequence[Verdict]) -> Metrics:
    score = objects.summarize(questions, verdicts)
    by_group = {
        "accuracy": score.accuracy,
        "success": score.success,
        "abs_rel": score.abs_rel_by_category,
    }
    return {
        "qualitative_accuracy": score.qualitative_accuracy,
        "quantitative_success": score.quantitative_success,
        "abs_rel": score.abs_rel,
        "direction_error_degrees": score.direction_error_degrees,
        **{
            f"{metric}_{_flat(name)}": value
            for metric, values in by_group.items()
            for name, value in values.items()
        },
    }


def _flat(name: str) -> str:
    """A group or category in the name of a metric: `left/right` is `left_right`."""
    return name.removesuffix("_data").replace("/", "_")


def _abs_rel(metrics: Metrics) -> Metrics:
    return {name: value for name, value in metrics.items() if name.startswith("abs_rel")}


def _most_right(questions: Sequence[objects.Question]) -> bool | int | float:
    """The answer of one category that is right most often, the nearest of several such."""
    truths = sorted({question.truth for question in questions})
    if questions[0].category == DIRECTION:
        truths = range(1, 13)
    elif questions[0].category in LENGTHS:
        # Of all that are right for the same truths, one is right for the least by a hair.
        truths = [1.25 * truth for truth in truths]

    def right(answer: bool | int | float) -> int:
        return sum(compare(question, answer).success for question in questions)

    return max(truths, key=right)


def _nearest(questions: Sequence[objects.Question]) -> float:
    """The length of one category with the least AbsRel."""
    lengths = np.array([question.truth for question in questions])
    return weighted_median(lengths, 1 / (lengths + 1e-4))
