"""What the predictions of a benchmark show."""

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from vlm3_jax.evaluation.benchmark import Prediction
from vlm3_jax.evaluation.bootstrap import bootstrap_interval
from vlm3_jax.evaluation.config import Benchmark
from vlm3_jax.evaluation.judging import Judge, Judged, Measure, Said


def summarize(
    benchmark: Benchmark, judge: Judge, predictions: Sequence[Prediction], num_records: int
) -> dict[str, Any]:
    """The part of `results.json` that is about one benchmark.

    `intervals` are 95% intervals by drawing images, or pairs. `best_constant` is what always the
    same answer can reach on these very questions: no model that does not look can beat it.
    `format_ceiling` is what a model that knows every truth would reach, for it has to say it in
    text that is rounded and read again.
    """
    judged = [one.judged for one in predictions]
    return {
        "task": benchmark.task,
        "dataset": benchmark.dataset,
        "split": benchmark.split,
        "metrics": judge.metrics(judged),
        "intervals": {name: interval(m) for name, m in judge.measures(judged).items()},
        "counts": {
            "images": num_records,
            "images_without_questions": num_records - len({one.image for one in judged}),
            "questions": len(judged),
            "unparsed": sum(not one.is_read for one in judged),
            "unfinished": sum(not one.finished for one in predictions),
            **judge.counts(judged),
        },
        "facts": judge.facts(),
        "best_constant": judge.best_constant(judged),
        "format_ceiling": judge.metrics(oracle(judge, judged)),
    }


def oracle(judge: Judge, judged: Sequence[Judged]) -> list[Judged]:
    """The same questions, answered as they are trained: the truth as text, read as any answer."""
    return [judge.judge(one.question, one.image, Said(one.question.answer)) for one in judged]


def interval(measure: Measure) -> list[float]:
    """The ends of a metric's 95% interval."""

    def statistic(drawn: np.ndarray) -> float:
        return min(measure.statistic(drawn), sys.float_info.max)  # JSON has no infinity.

    with np.errstate(over="ignore"):
        return list(bootstrap_interval(measure.values, measure.images, statistic))
