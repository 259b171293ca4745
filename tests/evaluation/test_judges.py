"""What every task's judge must hold to: oracles, intervals and constants."""

import dataclasses
import json

import numpy as np
import pytest

from tests.evaluation.records import make, settings
from vlm3_jax.data.sampling import evaluation_sample
from vlm3_jax.evaluation.judging import Said
from vlm3_jax.evaluation.summary import oracle
from vlm3_jax.evaluation.tasks import JUDGES

TASKS = tuple(JUDGES)
PERFECT = {
    "depth": {"delta1": 1.0, "delta1_parsed_only": 1.0},
    "correspondence": {"unparsed": 0.0, "under_1_px": 1.0},
    # Angles to a tenth of a degree and vectors to a hundredth: under a degree, in the first bin.
    "pose": {f"auc_{limit}{sign}": 1.0 for limit in (5, 10, 30) for sign in ("", "_signed")},
    "objects": {"qualitative_accuracy": 1.0, "quantitative_success": 1.0, "success_width": 1.0},
}


def asked(task: str, count: int = 4) -> list[tuple[str, object]]:
    """Images and questions."""
    sampling = settings(task).benchmarks["b"].asks
    return [
        (record.key, question)
        for i, record in enumerate(make(task, count))
        for question in evaluation_sample(sampling, record, np.random.default_rng(i))[1]
    ]


def answered(task: str, texts=None) -> list:
    """Judged answers, the right ones without texts."""
    pairs = asked(task)
    texts = [question.answer for _, question in pairs] if texts is None else texts
    return [
        JUDGES[task].judge(question, image, Said(text))
        for (image, question), text in zip(pairs, texts, strict=True)
    ]


@pytest.mark.parametrize("task", TASKS)
def test_who_knows_the_truth_scores_all(task):
    metrics = JUDGES[task].metrics(answered(task))
    assert PERFECT[task].items() <= metrics.items()
    errors = ("abs_rel", "epe_mean", "rotation_error_mean", "distance_abs_rel")
    for name in errors:
        assert metrics.get(name, 0) < {"epe_mean": 0.71, "rotation_error_mean": 0.2}.get(name, 0.01)


@pytest.mark.parametrize("task", TASKS)
def test_the_ceiling_is_what_the_text_keeps_of_the_truth(task):
    judged = answered(task, ["I do not know."] * len(asked(task)))
    assert oracle(JUDGES[task], judged) == answered(task)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("unread", [False, True])
def test_measures_are_of_the_metrics_they_name(task, unread):
    texts = [question.answer for _, question in asked(task)]
    rng = np.random.default_rng(0)
    others = [texts[i] for i in rng.permutation(len(texts))]
    kinds = rng.choice(3, len(texts), p=[0.6, 0.2, 0.2])
    texts = [("?", other, text)[2 - k] for k, text, other in zip(kinds, texts, others, strict=True)]
    judged = answered(task, ["?"] * len(texts) if unread else texts)
    metrics, measures = JUDGES[task].metrics(judged), JUDGES[task].measures(judged)
    assert len(measures) >= (1 if unread else 3)
    for name, measure in measures.items():
        assert len(measure.images) == len(measure.values)
        assert measure.statistic(measure.values) == pytest.approx(metrics[name], rel=1e-6), name
    missing = [name for name in measures if metrics[name] is None]
    assert missing == []
    if unread:
        unsaid = [name for name, value in metrics.items() if value is None]
        assert not set(unsaid) & set(measures)


@pytest.mark.parametrize("task", TASKS)
def test_nothing_that_was_read_is_written_as_no_json(task):
    judge = JUDGES[task]
    for texts in (None, ["?"] * len(asked(task)), ["<answer> 1e308 </answer>"] * len(asked(task))):
        judged = answered(task, texts)
        whole = [
            judge.metrics(judged),
            judge.counts(judged),
            judge.facts(),
            judge.best_constant(judged),
            [judge.record(one) for one in judged],
            [one.parsed for one in judged],
        ]
        json.dumps(whole, allow_nan=False)


@pytest.mark.parametrize("task", TASKS)
def test_metrics_of_the_constant_have_the_names_of_metrics(task):
    judged = answered(task)
    metrics, constant = JUDGES[task].metrics(judged), JUDGES[task].best_constant(judged)
    main = {"depth": "delta1", "correspondence": "epe_mean", "pose": "auc_30"}
    assert main.get(task, "qualitative_accuracy") in metrics.keys() & constant.keys()


def test_every_question_has_its_own_fields():
    fields = {
        "depth": {"truth", "point_xy"},
        "correspondence": {"truth", "point_xy", "truth_xy", "backward"},
        "pose": {"truth", "kind"},
        "objects": {"truth", "truth_text", "category", "boxes"},
    }
    for task, names in fields.items():
        (one, *_) = answered(task)
        assert set(JUDGES[task].record(one)) == names
        assert dataclasses.asdict(one)["image"] == one.image
