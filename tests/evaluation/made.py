"""Predictions without a model."""

import numpy as np

from tests.evaluation.records import make, settings
from vlm3_jax.data.sampling import evaluation_sample
from vlm3_jax.evaluation import report
from vlm3_jax.evaluation.benchmark import Prediction
from vlm3_jax.evaluation.judging import Said
from vlm3_jax.evaluation.summary import summarize
from vlm3_jax.evaluation.tasks import JUDGES


def predictions(task: str, count: int = 3, texts=None) -> list[Prediction]:
    """Right answers, or these texts; the last one was cut."""
    sampling, found = settings(task).benchmarks["b"].asks, []
    for index, record in enumerate(make(task, count)):
        _, questions = evaluation_sample(sampling, record, np.random.default_rng(index))
        for question in questions:
            text = question.answer if texts is None else texts[len(found)]
            judged = JUDGES[task].judge(question, record.key, Said(text))
            found.append(Prediction(index, index, record.key, text, (1, 2), True, -0.5, judged))
    *others, last = found
    return [*others, Prediction(**(vars(last) | {"finished": False}))]


def results(task: str, made: list[Prediction], count: int = 3, swap_images: bool = False) -> dict:
    """What `results.json` holds of them."""
    config = settings(task, swap_images=swap_images)
    part = summarize(config.benchmarks["b"], JUDGES[task], made, count)
    return report.results(config, {"b": part}, checkpoint="ckpt", dtype="float32", device="cpu")


def lines(task: str, made: list[Prediction]) -> list[dict]:
    """The lines of `predictions.jsonl`."""
    return [report.line("b", settings(task), one) for one in made]
