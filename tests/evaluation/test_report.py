import json
from dataclasses import asdict

import pytest

from vlm3_jax.errors import BadInput
from vlm3_jax.evaluation import report
from vlm3_jax.evaluation.benchmark import Prediction
from vlm3_jax.evaluation.config import DatasetConfig, EvalConfig
from vlm3_jax.tasks.certainty import Certainty

CONFIG = EvalConfig(DatasetConfig("data", "made"))


def prediction(
    image: str, parsed: float | None, truth: float, finished: bool = True, certainty=None
) -> Prediction:
    score = int(parsed is not None and parsed > 0 and max(parsed / truth, truth / parsed) < 1.25)
    answer = "" if parsed is None else f"<answer> {parsed} </answer> m²"
    return Prediction(
        image=image,
        shown_image=image,
        point_xy=(1.0, 2.0),
        prompt="?",
        answer=answer,
        token_ids=(1, 2),
        finished=finished,
        parsed=parsed,
        truth=truth,
        score=score,
        log_probability=-0.5,
        certainty=certainty,
    )


PREDICTIONS = [
    prediction("a", 1.0, 1.0),
    prediction("a", 2.0, 1.0),
    prediction("b", None, 1.0, finished=False),
    prediction("b", -1.0, 4.0),
]


def summarize(predictions):
    return report.summarize(
        predictions, CONFIG, num_views=3, checkpoint="ckpt", dtype="float32", device="cpu"
    )


def test_both_countings_and_every_failure():
    results = summarize(PREDICTIONS)
    assert results["metrics"] == {"delta1": 1 / 4, "delta1_parsed_only": 1 / 2}
    assert results["counts"] == {
        "images": 3,
        "images_without_points": 1,
        "questions": 4,
        "unparsed": 1,
        "nonpositive": 1,
        "unfinished": 1,
    }
    assert results["best_constant"]["delta1"] == 3 / 4
    assert results["checkpoint"] == "ckpt"
    assert results["config"]["dataset"]["name"] == "made"


def test_files_hold_everything(tmp_path):
    results = summarize(PREDICTIONS)
    report.write(tmp_path / "new", results, PREDICTIONS)
    assert json.loads((tmp_path / "new" / "results.json").read_text()) == results
    lines = (tmp_path / "new" / "predictions.jsonl").read_text().splitlines()
    expected = [json.loads(json.dumps(asdict(p))) for p in PREDICTIONS]
    assert [json.loads(line) | {"certainty": None} for line in lines] == expected
    assert len(list((tmp_path / "new").iterdir())) == 2


def test_certainty_is_scored_beside_the_answers(tmp_path):
    certain = [
        prediction("a", 2.0, 1.0, certainty=Certainty(1.1, 0.9, 0.9, 1.2, 0.05)),
        prediction("a", 1.0, 1.0, certainty=Certainty(2.0, 0.6, 1.9, 2.5, 0.1)),
        prediction("b", None, 1.0, certainty=Certainty(None, 0.0, None, None, 1.0)),
    ]
    results = summarize(certain)
    assert results["metrics"] == {
        "delta1": pytest.approx(1 / 3),
        "delta1_parsed_only": 1 / 2,
        "delta1_likely": pytest.approx(1 / 3),
        "mean_confidence": pytest.approx(0.5),
        "mean_unexplained": pytest.approx(1.15 / 3),
        "ranges": pytest.approx(2 / 3),
        "truth_in_range": 1 / 2,
    }
    assert "0.3333  value of most probability" in report.table(results)
    report.write(tmp_path, results, certain)
    lines = [json.loads(line) for line in (tmp_path / "predictions.jsonl").read_text().splitlines()]
    fields = ("likely_metres", "confidence", "low", "high", "unexplained")
    assert [lines[0][field] for field in fields] == [1.1, 0.9, 0.9, 1.2, 0.05]
    assert lines[2]["likely_metres"] is None and "certainty" not in lines[2]


def test_results_without_a_usable_number():
    results = summarize([prediction("a", None, 1.0)])
    assert results["metrics"] == {"delta1": 0.0, "delta1_parsed_only": None}
    assert json.loads(json.dumps(results, allow_nan=False)) == results
    assert "  -  usable numbers only" in report.table(results)


def test_table_names_the_figures():
    text = report.table(summarize(PREDICTIONS))
    assert "made test: 4 questions, 3 images" in text
    assert all(figure in text for figure in ("0.2500", "0.5000", "0.7500"))


def test_results_are_never_replaced(tmp_path):
    report.check_workdir(tmp_path / "new")
    assert not (tmp_path / "new").exists()
    report.write(tmp_path, summarize(PREDICTIONS), PREDICTIONS)
    with pytest.raises(BadInput, match="holds results already"):
        report.check_workdir(tmp_path)


def test_a_file_is_no_workdir(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "deeper"):
        with pytest.raises(BadInput, match="is a file; name a folder"):
            report.check_workdir(path)


def test_a_crash_while_writing_leaves_no_results(tmp_path, monkeypatch):
    def crash(value):
        raise OSError("no space left")

    monkeypatch.setattr(report, "json_bytes", crash)
    with pytest.raises(OSError, match="no space"):
        report.write(tmp_path, summarize(PREDICTIONS), PREDICTIONS)
    assert not (tmp_path / "results.json").exists()
    report.check_workdir(tmp_path)
