"""What the evaluation knows of a task: how an answer is judged, and what many of them show."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from vlm3_jax.data.sampling import Question
from vlm3_jax.tasks.certainty import Certainty

Metrics = dict[str, float | None]
"""By name; None where there is nothing to compute it from."""


@dataclass(frozen=True)
class Said:
    """An answer as it came."""

    text: str
    distribution: tuple[np.ndarray, np.ndarray] | None = None
    """With branches, values of its first number and their probabilities, [N] each."""


@dataclass(frozen=True)
class Judged:
    """A question, and what its answer is worth."""

    question: Question
    image: str
    """Key of the image, or the pair, that is asked about."""
    parsed: Any
    """What was read from the answer, as JSON has it; None where it cannot be read."""
    score: float | None = None
    """1 right, 0 wrong; None where the task has no such verdict."""
    error: float | None = None
    """How far off it is, in a unit of the task; None where that is not defined."""
    is_read: bool = True
    """Whether the judge could read it."""
    certainty: Certainty | None = None


@dataclass(frozen=True)
class Measure:
    """What a metric is computed from, so that it can be computed again from drawn images."""

    values: np.ndarray
    """[N]; infinite and NaN where `statistic` knows what that means."""
    images: Sequence[str]
    """Key of the image of each value."""
    statistic: Callable[[np.ndarray], float] = np.mean


class Judge(Protocol):
    """The evaluation of one task."""

    EXPECTED: str | None
    """An answer of the form that most have, for the decoder to guess by; None: there is no one."""

    def judge(self, question: Any, image: str, said: Said) -> Judged:
        """Reads and judges one answer."""

    def metrics(self, judged: Sequence[Judged]) -> Metrics:
        """All metrics of a benchmark."""

    def measures(self, judged: Sequence[Judged]) -> dict[str, Measure]:
        """What the main metrics are computed from, those that there are, by their names."""

    def counts(self, judged: Sequence[Judged]) -> dict[str, int]:
        """What is counted beside questions, and answers that cannot be read."""

    def facts(self) -> dict[str, Any]:
        """What else decides the metrics."""

    def best_constant(self, judged: Sequence[Judged]) -> dict[str, Any]:
        """What always the same answer can reach on these very questions, and which one it is.

        Metrics have the names that they have in `metrics`.
        """

    def record(self, judged: Judged) -> dict[str, Any]:
        """The task's own fields of a question and its truth, for `predictions.jsonl`."""
