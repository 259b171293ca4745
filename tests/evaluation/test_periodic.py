import json

import pytest
from ml_collections import ConfigDict

from tests.test_boards import events
from tests.training.runs import metrics, run_config, write_checkpoint, write_dataset
from vlm3_jax.config import parse
from vlm3_jax.decoding.load import load_decoder
from vlm3_jax.evaluation.benchmark import open_sources
from vlm3_jax.evaluation.cache import AnswerCache
from vlm3_jax.evaluation.config import EvalConfig
from vlm3_jax.evaluation.periodic import PeriodicEvaluation
from vlm3_jax.evaluation.run import evaluate
from vlm3_jax.training.loop import train


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run that was evaluated after steps 4 and 6, its last one, and the evaluation's settings."""
    folder = tmp_path_factory.mktemp("periodic")
    write_dataset(folder)
    write_checkpoint(folder / "checkpoint")
    benchmark = {
        "task": "depth",
        "dataset": "depthlm_jsonl",
        "split": "train",
        "images": 3,
        "sampling": {"depth": {"focal": 80.0, "questions_per_image": 2}},
    }
    settings = {
        "data_dir": str(folder / "built"),
        "benchmarks": {"made_up": benchmark},
        "decoding": {"images": 2, "questions": 2, "max_new_tokens": 8},
    }
    config = parse(EvalConfig, ConfigDict(settings))
    training = run_config(folder, total_steps=6, checkpoint__every=6)
    train(training, folder / "seen", PeriodicEvaluation(config, every=4))
    train(training, folder / "unseen")
    return folder, config


def test_looking_changes_nothing(run):
    folder, _ = run
    seen, unseen = metrics(folder / "seen"), metrics(folder / "unseen")
    assert [line["loss"] for line in seen] == [line["loss"] for line in unseen]


def test_evaluations_are_those_of_the_checkpoint(run, tmp_path):
    folder, config = run
    names = sorted(path.name for path in (folder / "seen" / "evaluations").iterdir())
    assert names == ["0000004", "0000006"]
    parts = load_decoder(str(folder / "seen"), "float32", config.mesh, config.decoding)
    expected = evaluate(
        config,
        open_sources(config),
        *parts,
        AnswerCache(tmp_path, {}),
        tmp_path,
        checkpoint="step 6",
        dtype="float32",
    )
    last = folder / "seen" / "evaluations" / "0000006"
    assert json.loads((last / "results.json").read_text()) == json.loads(json.dumps(expected))
    answers = [
        [json.loads(line)["token_ids"] for line in (path / "predictions.jsonl").open()]
        for path in (tmp_path, last, last.parent / "0000004")
    ]
    assert answers[0] == answers[1] != answers[2]
    assert (last / "report.html").stat().st_size > 10_000


def test_boards_show_metrics_and_samples(run):
    folder, _ = run
    shown = {
        (event.step, value.tag): value
        for event in events(folder / "seen")
        for value in event.summary.value
    }
    for step in (4, 6):
        path = folder / "seen" / "evaluations" / f"{step:07d}" / "results.json"
        found = json.loads(path.read_text())["benchmarks"]["made_up"]["metrics"]["delta1"]
        assert shown[step, "eval/made_up/delta1"].simple_value == pytest.approx(found)
        assert shown[step, "eval/made_up/best_1"].image.width > 100


def test_an_evaluation_that_is_there_is_only_shown_again(run, tmp_path):
    folder, config = run

    class Board:
        def __init__(self):
            self.shown = []

        def scalars(self, step, values):
            self.shown += values

        def picture(self, step, name, pixels, caption):
            self.shown.append(name)

    board, root = Board(), folder / "seen"
    before = (root / "evaluations" / "0000004" / "results.json").stat().st_mtime_ns
    again = PeriodicEvaluation(config, every=4)
    again.look(4, None, root, root / "assets", board)
    assert {"eval/made_up/delta1", "eval/made_up/best_1"} <= set(board.shown)
    assert (root / "evaluations" / "0000004" / "results.json").stat().st_mtime_ns == before
