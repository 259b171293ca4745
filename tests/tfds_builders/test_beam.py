"""Builds on Beam's direct runner, in the environment that `bash launch/test_beam.sh` makes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.tfds_builders.counting import Counting, files, made, workers, write_raw
from tests.tfds_builders.test_depthlm_jsonl import line, write_set
from tfds_builders.build import build as build_by_name
from tfds_builders.items import MaxBad
from tfds_builders.writing import write_dataset
from vlm3_jax.errors import BadInput

pytest.importorskip(
    "apache_beam",
    reason="Apache Beam has an environment of its own: run `bash launch/test_beam.sh`",
)

ONE = ("--runner=DirectRunner",)
TWO = (*ONE, "--direct_num_workers=2", "--direct_running_mode=multi_processing")
VERSION = "counting/1.0.0"
SHARDS = 7 + 2


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    """The workers are processes of Beam, which must find the builder."""
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> dict[str, bytes]:
    """The files that the process pool writes."""
    folder = tmp_path_factory.mktemp("undisturbed")
    return files(build(write_raw(folder / "raw"), folder / "out", beam_options=None))


def build(raw: Path, out: Path, beam_options=ONE, **settings) -> Path:
    write_dataset(Counting(data_dir=out), raw, beam_options=beam_options, **settings)
    return out / VERSION


def test_the_bytes_are_those_of_the_pool(tmp_path, undisturbed):
    raw = write_raw(tmp_path / "raw")
    folder = build(raw, tmp_path / "one", ONE)
    assert files(folder) == undisturbed
    assert [path.name for path in folder.parent.iterdir()] == ["1.0.0"]
    assert len(made(raw)) == 24  # No item twice.
    assert files(build(raw, tmp_path / "two", TWO)) == undisturbed
    assert len(workers(raw) - {os.getpid()}) == 2


def test_a_builder_by_its_name(tmp_path):
    raw = write_set(tmp_path / "raw", rooms=[line(), line(image="kitchen/b.png")])
    pool, _ = build_by_name("depthlm_jsonl", tmp_path / "pool", raw)
    beam, is_new = build_by_name("depthlm_jsonl", tmp_path / "beam", raw, beam_options=TWO)
    assert is_new and files(Path(beam)) == files(Path(pool))


def test_the_command(tmp_path):
    raw = write_set(tmp_path / "raw", rooms=[line(), line(image="kitchen/b.png")])
    out = tmp_path / "out"
    command = [sys.executable, "-m", "tfds_builders.build", "depthlm_jsonl"]
    command += [f"--manual_dir={raw}", f"--data_dir={out}"]
    told = {"capture_output": True, "text": True, "cwd": REPOSITORY, "timeout": 120}
    for flags, message in (
        (["--beam_options=--runner=Nothing"], "Unexpected pipeline runner: Nothing"),
        (["--beam_options=--direct_num_workers=many"], "invalid int value: 'many'"),
        (["--beam_options=--runner=DirectRunner", "--workers=2"], "--workers is of no use"),
    ):
        done = subprocess.run([*command, *flags], check=False, **told)
        assert done.returncode == 2 and message in done.stderr.splitlines()[-1]
        assert "Traceback" not in done.stderr and not out.exists()
    done = subprocess.run([*command, f"--beam_options={' '.join(TWO)}"], check=False, **told)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{out / 'depthlm_jsonl' / '1.0.0'}: test 2\n"


@pytest.mark.parametrize("options", [ONE, TWO], ids=["one worker", "two workers"])
def test_bad_records_of_all_workers_are_counted_and_reported(tmp_path, options):
    raw = write_raw(
        tmp_path / "raw",
        bad=[[3, 1]],
        gone=[[4, 0]],
        lost=[[5, 0], [6, 1]],
        twins=[[8, 1]],
        again=["item9"],
        unlisted=["scene"],
    )
    limit = MaxBad(number=8)
    pool = build(raw, tmp_path / "pool", None, max_bad=limit)
    assert files(build(raw, tmp_path / "beam", options, max_bad=limit)) == files(pool)
    reports = [tmp_path / name / f"{VERSION}.bad.jsonl" for name in ("pool", "beam")]
    assert reports[0].read_bytes() == reports[1].read_bytes()
    with pytest.raises(BadInput, match=r"8 of 50 records are bad, .* --max_bad allows 7: mend"):
        build(raw, tmp_path / "less", options, max_bad=MaxBad(number=7))
    assert not (tmp_path / "less" / VERSION).exists()


def test_too_many_bad_records_stop_the_workers(tmp_path, undisturbed, monkeypatch):
    monkeypatch.setattr("tfds_builders.beam_job._LOOK_SECONDS", 0.2)
    raw = write_raw(tmp_path / "raw", bad=[[i, 0] for i in range(20)], seconds=0.2)
    out = tmp_path / "out"
    with pytest.raises(BadInput, match=r"of 48 records are bad, .* --max_bad allows 4: mend"):
        build(raw, out, max_bad=MaxBad.parse("10%"))
    assert len(made(raw)) < 24
    lines = (out / f"{VERSION}.bad.jsonl").read_text().splitlines()
    assert 4 < len(lines) < 20 and json.loads(lines[0])["reason"].endswith("is bad.")
    # Mended, the same command goes on.
    assert files(build(write_raw(raw), out, max_bad=MaxBad.parse("10%"))) == undisturbed
    assert [path.name for path in (out / VERSION).parent.iterdir()] == ["1.0.0"]


def test_a_defect_ends_the_build_and_names_the_item(tmp_path, undisturbed):
    raw, out = write_raw(tmp_path / "raw", broken=[7]), tmp_path / "out"
    with pytest.raises(RuntimeError, match="a defect"):
        build(raw, out)
    kept = len(list((out / f"{VERSION}.building" / "finished").glob("*.json")))
    made(raw)
    assert files(build(write_raw(raw), out)) == undisturbed
    assert len(made(raw)) <= 3 * (SHARDS - kept)


@pytest.mark.parametrize("then", [TWO, None], ids=["by Beam", "by the pool"])
def test_killed_and_resumed(tmp_path, undisturbed, then):
    raw, out = write_raw(tmp_path / "raw", seconds=0.2), tmp_path / "out"
    finished = out / f"{VERSION}.building" / "finished"
    command = [sys.executable, "-m", "tests.tfds_builders.counting_build", raw, out, *TWO]
    # In a group of its own, for Beam's workers die with it only after a while.
    process = subprocess.Popen(command, cwd=REPOSITORY, start_new_session=True)
    while len(list(finished.glob("*.json"))) < 2:
        assert process.poll() is None
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    kept = {path.name for path in finished.glob("*.json")}
    assert len(kept) < SHARDS and not (out / VERSION).exists()
    made(raw)
    assert files(build(write_raw(raw), out, then)) == undisturbed
    assert len(made(raw)) <= 3 * (SHARDS - len(kept))


def test_workers_with_other_raw_data_are_an_error(tmp_path, monkeypatch):
    raw = write_raw(tmp_path / "raw")
    items = Counting.items
    calls = []

    def fewer_in_the_workers(self, folder):
        calls.append(folder)
        return items(self, folder) if len(calls) == 1 else {"train": items(self, folder)["test"]}

    monkeypatch.setattr(Counting, "items", fewer_in_the_workers)
    with pytest.raises(RuntimeError, match="This worker finds other items"):
        build(raw, tmp_path / "out")
    assert not (tmp_path / "out" / VERSION).exists()
