"""Scores of answers about objects, as SpatialRGPT-Bench defines them.

The benchmark has a language model read the answers. Here rules read them, which is not comparable
to its figures, unless a judge is given.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vlm3_jax.errors import BadInput
from vlm3_jax.tasks.averages import mean
from vlm3_jax.tasks.objects.answers import parse_answer
from vlm3_jax.tasks.objects.questions import DIRECTION, GROUPS, LENGTHS, QUANTITATIVE, Question

RULE_BASED, EXTERNAL = "rule-based", "external judge"


@dataclass(frozen=True)
class Verdict:
    """What a judge makes of one answer."""

    success: bool
    error: float | None = None
    """|answer - truth| / (truth + 1e-4) of a length, degrees of a direction; else None."""
    parsed: bool = True
    """Whether the answer could be read; one that could not is no success."""


Judge = Callable[[Question, str], Verdict]


@dataclass(frozen=True)
class ObjectsScore:
    """Scores over all questions, where an answer that cannot be read is wrong.

    Errors are over the answers that could be read. A score of no question is None, or left out.
    """

    judged_by: str
    """'rule-based' or 'external judge'."""
    qualitative_accuracy: float | None
    accuracy: dict[str, float]
    """By group of opposite relations."""
    quantitative_success: float | None
    """Lengths within 25% of the truth, directions within an hour."""
    success: dict[str, float]
    """By category."""
    abs_rel: float | None
    """Mean of |answer - truth| / (truth + 1e-4) over all lengths, metres."""
    abs_rel_by_category: dict[str, float]
    direction_error_degrees: float | None
    num_questions: dict[str, int]
    """By group and category."""
    num_unparsed: int
    num_without_truth: int
    """Questions whose own answer the rules cannot read: always wrong by them."""


def by_rules(question: Question, text: str) -> Verdict:
    """Judges an answer by rules."""
    return compare(question, parse_answer(question.category, text, question.regions))


def compare(question: Question, answer: bool | int | float | None) -> Verdict:
    """Judges what was read from an answer, None where nothing was."""
    truth = question.truth
    if answer is None or truth is None:
        return Verdict(success=False, parsed=answer is not None)
    if question.category == DIRECTION:
        apart = abs(answer - truth)
        hours = min(apart, 12 - apart)
        return Verdict(success=hours <= 1, error=30.0 * hours)
    if question.category in LENGTHS:
        success = 0.75 * truth <= answer <= 1.25 * truth
        return Verdict(success=success, error=abs(answer - truth) / (truth + 1e-4))
    return Verdict(success=answer == truth)


def score(
    questions: Sequence[Question], answers: Sequence[str], judge: Judge = by_rules
) -> ObjectsScore:
    """Judges and scores answers.

    Args:
        questions: what was asked.
        answers: the texts, in the same order.
        judge: gives the verdict on an answer, for example by asking a language model; rules do
            without one.

    Raises:
        BadInput: there is nothing to score.
    """
    verdicts = [judge(q, text) for q, text in zip(questions, answers, strict=True)]
    return summarize(questions, verdicts, RULE_BASED if judge is by_rules else EXTERNAL)


def summarize(
    questions: Sequence[Question], verdicts: Sequence[Verdict], judged_by: str = RULE_BASED
) -> ObjectsScore:
    """Scores verdicts.

    Raises:
        BadInput: there is nothing to score.
    """
    if not questions:
        raise BadInput("there are no object questions to score: check the dataset and its split.")
    groups: dict[str, list[Verdict]] = {}
    for question, verdict in zip(questions, verdicts, strict=True):
        groups.setdefault(_group(question.category), []).append(verdict)
    quantitative = [name for name in QUANTITATIVE if name in groups]
    qualitative = [name for name in dict.fromkeys(GROUPS.values()) if name in groups]
    lengths = [name for name in LENGTHS if name in groups]
    abs_rel = {name: mean(_errors(groups[name])) for name in lengths}
    return ObjectsScore(
        judged_by=judged_by,
        qualitative_accuracy=mean([v.success for name in qualitative for v in groups[name]]),
        accuracy={name: mean([v.success for v in groups[name]]) for name in qualitative},
        quantitative_success=mean([v.success for name in quantitative for v in groups[name]]),
        success={name: mean([v.success for v in groups[name]]) for name in quantitative},
        abs_rel=mean([error for name in lengths for error in _errors(groups[name])]),
        abs_rel_by_category={n: value for n, value in abs_rel.items() if value is not None},
        direction_error_degrees=mean(_errors(groups.get(DIRECTION, []))),
        num_questions={name: len(groups[name]) for name in [*qualitative, *quantitative]},
        num_unparsed=sum(not verdict.parsed for verdict in verdicts),
        num_without_truth=sum(question.truth is None for question in questions),
    )


def _group(category: str) -> str:
    return category if category in QUANTITATIVE else GROUPS[category.rpartition("_")[0]]


def _errors(verdicts: Sequence[Verdict]) -> list[float]:
    return [verdict.error for verdict in verdicts if verdict.error is not None]
