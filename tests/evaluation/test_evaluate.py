"""The command line of `vlm3_jax.evaluate`, from TFDS builds to `results.json`."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from tests.commands import REPOSITORY, run_all
from tests.evaluation.toy_sets import NAMES, TASKS, arguments, build_sets
from tests.page.reading import Page
from tfds_builders.build import build

DEPTH = ("ibims1_depthlm",)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return build_sets(tmp_path_factory.mktemp("sets"))


def read(folder) -> tuple[dict, list[dict]]:
    """The results and the lines that a run left."""
    lines = (folder / "predictions.jsonl").read_text().splitlines()
    return json.loads((folder / "results.json").read_text()), [json.loads(text) for text in lines]


def check(folder, run, names=NAMES) -> tuple[dict, list[dict]]:
    """Checks that what a run wrote and printed is whole and agrees with itself."""
    assert run.status == 0, run.err
    results, lines = read(folder)
    files = ["answers.jsonl", "predictions.jsonl", "report.html", "results.json"]
    assert sorted(path.name for path in folder.iterdir()) == files
    assert set(results["benchmarks"]) == set(names)
    parts = results["benchmarks"].items()
    told = ("metrics", "counts")
    assert json.loads(run.out) == {name: {k: part[k] for k in told} for name, part in parts}
    for name, part in parts:
        mine = [line for line in lines if line["benchmark"] == name]
        counts = part["counts"]
        assert counts["questions"] == len(mine) > 0 and counts["images"] == 2
        assert counts["unfinished"] == sum(not line["finished"] for line in mine)
        assert {line["task"] for line in mine} == {part["task"]} == {TASKS[name]}
        assert f"{name}: {part['task']}, {part['dataset']}" in run.err
    page = Page((folder / "report.html").read_text())
    page.assert_self_contained()
    assert set(names) <= set(page.text.split()) and page.images()
    # A line for every answer, and one for what they are of.
    assert len((folder / "answers.jsonl").read_text().splitlines()) == len(lines) + 1
    return results, lines


def without_rounding(lines: list[dict]) -> list[dict]:
    """Lines without what depends on which questions were answered together."""
    return [{k: v for k, v in line.items() if k != "log_probability"} for line in lines]


@pytest.mark.slow
def test_evaluates_all_tasks_and_keeps_what_it_wrote(lively_hf, data_dir, tmp_path):
    first = arguments(lively_hf, data_dir, tmp_path / "own")
    swapped = arguments(lively_hf, data_dir, tmp_path / "swapped", "--config.swap_images=True")
    more = "--config.decoding.branches=2"
    certain = arguments(lively_hf, data_dir, tmp_path / "certain", more, names=DEPTH)
    # The answers are there, but are not those of these settings; then those of the same ones.
    mixed = arguments(lively_hf, data_dir, tmp_path / "own", more)
    runs = run_all("vlm3_jax.evaluate", [first, swapped, certain, first])

    results, lines = check(tmp_path / "own", runs[0])
    assert results["swap_images"] is False and results["checkpoint"] == str(lively_hf)
    assert results["config"]["benchmarks"]["ibims1_depthlm"]["sampling"]["depth"]["focal"] == 60
    assert results["dtype"] == "float32"
    assert runs[3].status == 2 and "holds results already" in runs[3].err

    other, swapped_lines = check(tmp_path / "swapped", runs[1])
    assert other["swap_images"] is True and "images swapped" in runs[1].err
    pairs = list(zip(lines, swapped_lines, strict=True))
    assert all(a["prompt"] == b["prompt"] and a["truth"] == b["truth"] for a, b in pairs)
    assert all(a["answer"] != b["answer"] for a, b in pairs if a["task"] == "depth")

    part, certain_lines = check(tmp_path / "certain", runs[2], DEPTH)
    depth_lines = [line for line in lines if line["task"] == "depth"]
    assert [line["token_ids"] for line in certain_lines] == [
        line["token_ids"] for line in depth_lines
    ]
    assert all(0 <= line["confidence"] + line["unexplained"] <= 1.00001 for line in certain_lines)
    assert "delta1_likely" in part["benchmarks"]["ibims1_depthlm"]["metrics"]

    # Scored again from the answers that are there; other settings do not take them.
    before = (tmp_path / "own" / "answers.jsonl").read_bytes()
    (tmp_path / "own" / "results.json").unlink()
    refused, again = run_all("vlm3_jax.evaluate", [mixed, first])
    assert refused.status == 2 and "answers.decoding.branches (0 there, 2 here)" in refused.err
    assert check(tmp_path / "own", again) == (results, lines)
    assert (tmp_path / "own" / "answers.jsonl").read_bytes() == before


def start(command: list[str], **variables: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "vlm3_jax.evaluate", *command],
        cwd=REPOSITORY,
        env=os.environ | {"JAX_PLATFORMS": "cpu"} | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_a_killed_evaluation_goes_on_where_it_stopped(lively_hf, data_dir, tmp_path):
    command = arguments(lively_hf, data_dir, tmp_path / "killed")
    answers = tmp_path / "killed" / "answers.jsonl"
    process = start(command)
    while process.poll() is None and (not answers.exists() or answers.stat().st_size < 2000):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "killed" / "results.json").exists()
    kept = answers.read_bytes()
    answers.write_bytes(kept + b'{"key": "cut o')  # As a kill in the midst of a line leaves it.

    whole = arguments(lively_hf, data_dir, tmp_path / "whole")
    resumed, run = run_all("vlm3_jax.evaluate", [command, whole])
    results, lines = check(tmp_path / "killed", resumed)
    expected, expected_lines = check(tmp_path / "whole", run)
    assert "answers were there already" in resumed.err
    assert answers.read_bytes().startswith(kept[: kept.rindex(b"\n") + 1])
    assert without_rounding(lines) == without_rounding(expected_lines)
    assert results == expected


@pytest.mark.slow
def test_two_processes_give_the_results_of_one(lively_hf, data_dir, tmp_path):
    with socket.socket() as sock:
        sock.bind(("localhost", 0))
        port = sock.getsockname()[1]
    shared = {"JAX_COORDINATOR_ADDRESS": f"localhost:{port}", "JAX_NUM_PROCESSES": "2"}
    (run,) = run_all("vlm3_jax.evaluate", [arguments(lively_hf, data_dir, tmp_path / "one")])
    expected, expected_lines = check(tmp_path / "one", run)
    # The first process has some of the answers already, the second one knows of none.
    some = (tmp_path / "one" / "answers.jsonl").read_bytes().splitlines(keepends=True)[:4]
    (tmp_path / "0").mkdir()
    (tmp_path / "0" / "answers.jsonl").write_bytes(b"".join(some))
    processes = [
        start(arguments(lively_hf, data_dir, tmp_path / str(i)), JAX_PROCESS_ID=str(i), **shared)
        for i in range(2)
    ]
    outputs = [process.communicate(timeout=400) for process in processes]
    for process, (_, errors) in zip(processes, outputs, strict=True):
        assert process.returncode == 0, errors
    results, lines = read(tmp_path / "0")
    assert without_rounding(lines) == without_rounding(expected_lines)
    assert results == expected
    assert not (tmp_path / "1").exists()


def test_bad_input_is_one_sentence_and_leaves_nothing(lively_hf, data_dir, tmp_path):
    def case(*more, checkpoint=lively_hf, data=data_dir, names=DEPTH):
        return arguments(checkpoint, data, tmp_path / "out", *more, names=names)

    one = "--config.benchmarks.ibims1_depthlm"
    unknown = case()
    unknown[0] = unknown[0].replace("ibims1_depthlm", "ibims2")
    cases = [
        (case("--config.decodnig.images=3"), "decodnig"),
        (case(f"{one}.smapling.depth.focal=3"), "smapling"),
        (case(f"{one}.sampling.depth.fcoal=3"), "fcoal"),
        (case(f"{one}.sampling.depth.focal=wide"), "focal"),
        (case(f"{one}.sampling.depth.focal=-1"), "benchmarks.ibims1_depthlm.sampling.depth.focal"),
        (case(f"{one}.sampling.depth.questions_per_image=0"), "questions_per_image is 0"),
        (case(f"{one}.task=depths"), "'depths'"),
        (case(f"{one}.images=0"), "images is 0"),
        (case("--config.decoding.max_new_tokens=0"), "max_new_tokens is 0"),
        (case("--config.mesh.tensor=3"), "does not fit 1 device"),
        (case(f"{one}.split=nowhere"), "no records in split 'nowhere'"),
        (case(f"{one}.dataset=nothing"), "holds no built dataset"),
        (case(f"{one}.task=pose"), "has no pair records"),
        (case(f"{one}.split=train", "--config.swap_images=True"), "at least two images"),
        (case(data=tmp_path, names=NAMES), "4 of 4 benchmarks"),
        (case(checkpoint="/none"), "/none does not exist"),
        (unknown, "there is no benchmark 'ibims2'"),
        (["--checkpoint=x", "--workdir=y", "--config=/none.py"], "/none.py"),
        (case()[1:], "config"),
    ]
    runs = run_all("vlm3_jax.evaluate", [command for command, _ in cases])
    for (command, message), run in zip(cases, runs, strict=True):
        assert run.status == 2, (command, run.err)
        lines = [text for text in run.err.splitlines() if not text.startswith(("I", "W"))]
        assert len(lines) == 1 and lines[0].startswith("error: "), (command, run.err)
        assert message in lines[0], (command, lines[0])
        assert run.out == ""
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_all_images_of_ibims1(lively_hf, ibims1, tmp_path):
    build("depthlm_jsonl", tmp_path / "data", ibims1)
    more = ["--config.benchmarks.ibims1_depthlm.images=60", "--config.decoding.images=8"]
    more.append("--config.benchmarks.ibims1_depthlm.sampling.depth.focal=200")
    command = arguments(lively_hf, tmp_path / "data", tmp_path / "out", *more, names=DEPTH)
    (run,) = run_all("vlm3_jax.evaluate", [command])
    assert run.status == 0, run.err
    results, lines = read(tmp_path / "out")
    counts = results["benchmarks"]["ibims1_depthlm"]["counts"]
    assert (counts["images"], counts["questions"]) == (60, 120)
    assert len({line["image"] for line in lines}) == 60
    # The model looks: it says something else about every point.
    assert len({tuple(line["token_ids"]) for line in lines}) > 100
