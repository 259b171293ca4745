import json

import pytest

from tests.evaluation.made import lines, predictions, results
from vlm3_jax.errors import BadInput
from vlm3_jax.evaluation import report
from vlm3_jax.evaluation.tasks import JUDGES

TASKS = tuple(JUDGES)


@pytest.mark.parametrize("task", TASKS)
def test_results_name_everything(task):
    made = predictions(task)
    found = results(task, made, count=5)
    assert found["checkpoint"] == "ckpt" and found["swap_images"] is False
    assert found["config"]["benchmarks"]["b"]["dataset"] == "made"
    part = found["benchmarks"]["b"]
    assert (part["task"], part["dataset"], part["split"]) == (task, "made", "test")
    counts = {"images": 5, "images_without_questions": 2, "questions": len(made), "unfinished": 1}
    assert counts.items() <= part["counts"].items() and part["counts"]["unparsed"] == 0
    assert part["format_ceiling"] == part["metrics"]  # All answers are right.
    assert part["intervals"] and part["intervals"].keys() <= part["metrics"].keys()
    assert all(low <= high for low, high in part["intervals"].values())


@pytest.mark.parametrize("task", TASKS)
def test_the_ceiling_is_not_moved_by_what_is_answered(task):
    number = len(predictions(task))
    part = results(task, predictions(task, texts=["?"] * number))["benchmarks"]["b"]
    assert part["counts"]["unparsed"] >= number - 3  # Three questions have no category.
    best = results(task, predictions(task))["benchmarks"]["b"]
    assert part["format_ceiling"] == best["metrics"] != part["metrics"]
    assert part["best_constant"] == best["best_constant"]


@pytest.mark.parametrize("task", TASKS)
def test_files_hold_everything(task, tmp_path):
    made = predictions(task)
    found = results(task, made)
    report.write(tmp_path / "new", found, lines(task, made))
    assert json.loads((tmp_path / "new" / "results.json").read_text()) == found
    read = [json.loads(text) for text in (tmp_path / "new" / "predictions.jsonl").open()]
    assert read == json.loads(json.dumps(lines(task, made)))
    for line, one in zip(read, made, strict=True):
        assert (line["benchmark"], line["task"], line["image"]) == ("b", task, one.judged.image)
        assert line["prompt"] == one.judged.question.prompt and line["answer"] == one.answer
        assert {"index", "shown_index", "shown_image", "token_ids", "finished", "parsed"} <= set(
            line
        )
        assert {"truth", "score", "error", "log_probability"} <= set(line)
    assert len(list((tmp_path / "new").iterdir())) == 2


@pytest.mark.parametrize("task", TASKS)
def test_the_table_names_the_figures(task):
    made = predictions(task)
    text = report.table(results(task, made, swap_images=True))
    assert (
        f"b: {task}, made test, {len(made)} questions, 3 images, 0 unparsed, 1 unfinished" in text
    )
    assert "images swapped" in text and "best constant" in text and "format ceiling" in text
    for name, value in results(task, made)["benchmarks"]["b"]["metrics"].items():
        (row,) = [row for row in text.splitlines() if row.split()[:1] == [name]]
        assert row.split()[1] == ("-" if value is None else f"{value:.4f}")


def test_a_metric_of_nothing_is_none():
    made = predictions("depth", texts=["?"] * 9)
    found = results("depth", made)
    assert found["benchmarks"]["b"]["metrics"]["delta1_parsed_only"] is None
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    (row,) = [r for r in report.table(found).splitlines() if "delta1_parsed_only" in r]
    assert row.split()[1] == "-"


def test_results_are_never_replaced(tmp_path):
    report.check_workdir(tmp_path / "new")
    assert not (tmp_path / "new").exists()
    made = predictions("depth")
    report.write(tmp_path, results("depth", made), lines("depth", made))
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

    made = predictions("depth")
    monkeypatch.setattr(report, "json_bytes", crash)
    with pytest.raises(OSError, match="no space"):
        report.write(tmp_path, results("depth", made), lines("depth", made))
    assert not (tmp_path / "results.json").exists()
    report.check_workdir(tmp_path)
