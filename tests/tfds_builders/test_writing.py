import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.tfds_builders.counting import Counting, files, made, write_raw
from tests.tfds_builders.reading import read_split
from tfds_builders.items import MaxBad
from tfds_builders.writing import write_dataset
from vlm3_jax.data.sources import open_source
from vlm3_jax.errors import BadInput

VERSION = "counting/1.0.0"


def build(raw: Path, out: Path, **settings) -> Path:
    write_dataset(Counting(data_dir=out), raw, **settings)
    return out / VERSION


def numbers(folder: Path, split: str = "train") -> list[int]:
    return [int(record["number"]) for record in read_split(folder, split)]


def report(out: Path) -> list[dict]:
    lines = (out / f"{VERSION}.bad.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def shards(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.array_record-*-of-*"))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> dict[str, bytes]:
    """The files of a build in one go."""
    folder = tmp_path_factory.mktemp("undisturbed")
    return files(build(write_raw(folder / "raw"), folder / "out"))


def test_tfds_reads_all_records(tmp_path):
    folder = build(write_raw(tmp_path / "raw"), tmp_path / "out")
    assert [path.name for path in folder.parent.iterdir()] == ["1.0.0"]
    assert len(shards(folder)) == 7 + 2  # 40 and 8 records, at most 6 a shard.
    train = read_split(folder, "train")
    assert sorted(numbers(folder)) == [i * 100 + k for i in range(20) for k in range(2)]
    assert sorted(numbers(folder, "test")) == [
        i * 100 + k for i in range(1000, 1004) for k in (0, 1)
    ]
    assert {record["split"] for record in train} == {b"train"}
    assert numbers(folder) != sorted(numbers(folder))  # A part of a split is a sample of it.
    source = open_source(tmp_path / "out", "counting", "train[:5]")
    assert [record.split for record in source] == ["train"] * 5


def test_the_bytes_do_not_depend_on_the_workers(tmp_path, undisturbed):
    folder = build(write_raw(tmp_path / "raw"), tmp_path / "out", workers=3)
    assert files(folder) == undisturbed


def test_killed_five_times_and_resumed(tmp_path, undisturbed):
    raw, out = write_raw(tmp_path / "raw", seconds=0.05), tmp_path / "out"
    shop = out / f"{VERSION}.building"
    for kill in range(5):
        before = [path.name for path in (shop / "finished").glob("*.json")]
        command = [sys.executable, "-m", "tests.tfds_builders.counting_build", raw, out, "2"]
        environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
        process = subprocess.Popen(command, cwd=REPOSITORY, env=environment)
        while len(list((shop / "finished").glob("*.json"))) <= kill:
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not (out / VERSION).exists()
        assert set(before) <= {path.name for path in (shop / "finished").glob("*.json")}
    kept = {path.name: path.stat().st_mtime_ns for path in shards(shop)}
    finished = {path.stem for path in (shop / "finished").glob("*.json")}
    made(raw)
    write_raw(raw)
    folder = build(raw, out, workers=2)
    assert files(folder) == undisturbed
    times = {path.name: path.stat().st_mtime_ns for path in shards(folder)}
    for name, changed in kept.items():
        if name.replace("counting-", "").replace(".array_record", "") in finished:
            assert times[name] == changed
    assert len(made(raw)) < 24
    assert [path.name for path in folder.parent.iterdir()] == ["1.0.0"]


def test_finished_shards_are_not_made_again(tmp_path, undisturbed):
    raw, out = write_raw(tmp_path / "raw", broken=[7]), tmp_path / "out"
    with pytest.raises(RuntimeError, match="a defect") as error:
        build(raw, out)
    assert error.value.__notes__ == ["The item was 'item7'."]
    first = made(raw)
    assert 7 in first
    folder = build(write_raw(raw), out)
    second = made(raw)
    assert files(folder) == undisturbed
    assert 7 in second and 0 < len(second) < 24
    assert set(first) | set(second) == {*range(20), *range(1000, 1004)}
    # Only the shard that was not finished is made twice.
    assert len(set(first) & set(second)) <= 3


def test_a_build_of_other_items_starts_anew(tmp_path):
    raw, out = write_raw(tmp_path / "raw", broken=[7]), tmp_path / "out"
    with pytest.raises(RuntimeError):
        build(raw, out)
    folder = build(write_raw(raw, train=21), out)
    assert len(numbers(folder)) == 42
    alone = build(write_raw(tmp_path / "raw2", train=21), tmp_path / "out2")
    assert files(folder) == files(alone)


def test_a_new_build_replaces_the_old_one(tmp_path):
    out = tmp_path / "out"
    build(write_raw(tmp_path / "raw"), out)
    folder = build(write_raw(tmp_path / "raw2", train=3), out)
    assert len(numbers(folder)) == 6
    assert files(folder) == files(build(write_raw(tmp_path / "raw3", train=3), tmp_path / "alone"))
    assert [path.name for path in folder.parent.iterdir()] == ["1.0.0"]


def test_bad_records_are_reported_and_the_rest_is_kept(tmp_path):
    raw = write_raw(
        tmp_path / "raw",
        bad=[[3, 1]],
        gone=[[4, 0]],
        lost=[[5, 0], [6, 1]],
        twins=[[8, 1]],
        again=["item9"],
        unlisted=["scene"],
    )
    folder = build(raw, tmp_path / "out", max_bad=MaxBad(number=8))
    lost = {301, 400, 500, 501, 601, 801}
    assert set(numbers(folder)) == {i * 100 + k for i in range(20) for k in range(2)} - lost
    reasons = {line["key"]: line["reason"] for line in report(tmp_path / "out")}
    assert reasons == {
        "item3/1": "item3/1 is bad.",
        "item4/0": "/gone4 cannot be read (No such file or directory); fetch it anew.",
        "item5": "item5 breaks off at 0.",
        "item6": "item6 breaks off at 1.",
        "item8": "item8: the id counting/item8/0 comes twice.",
        "item9": "the id item9 comes twice.",
        "scene": "scene is unlisted.",
    }
    counts = {line["key"]: line["records"] for line in report(tmp_path / "out")}
    assert counts["item5"] == 2 and sum(counts.values()) == 8
    again = build(raw, tmp_path / "out2", max_bad=MaxBad(number=8), workers=2)
    assert files(again) == files(folder)
    assert report(tmp_path / "out2") == report(tmp_path / "out")


def test_too_many_bad_records_stop_the_build_and_leave_the_report(tmp_path, undisturbed):
    raw = write_raw(tmp_path / "raw", bad=[[i, 0] for i in range(20)])
    out = tmp_path / "out"
    with pytest.raises(BadInput, match=r"of 48 records are bad, .* --max_bad allows 4: mend"):
        build(raw, out, max_bad=MaxBad.parse("10%"))
    assert not (out / VERSION).exists()
    assert 4 < len(report(out)) <= 20
    # Mended, the same command goes on.
    folder = build(write_raw(raw), out, max_bad=MaxBad.parse("10%"))
    assert files(folder) == undisturbed
    assert [path.name for path in folder.parent.iterdir()] == ["1.0.0"]  # No report any more.


def test_without_a_limit_the_first_bad_record_ends_the_build(tmp_path):
    raw = write_raw(tmp_path / "raw", bad=[[19, 0]])
    with pytest.raises(BadInput, match=r"^item19/0 is bad\.$"):
        build(raw, tmp_path / "out")
    assert not (tmp_path / "out" / VERSION).exists()
    assert not (tmp_path / "out" / f"{VERSION}.bad.jsonl").exists()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"test": 0}, "the split test is empty"),
        (
            {"test": 1, "bad": [[1000, 0], [1000, 1]]},
            "the split test has no usable record: item1000/0 is bad",
        ),
    ],
)
def test_a_split_without_records_is_an_error(tmp_path, config, message):
    raw = write_raw(tmp_path / "raw", **config)
    with pytest.raises(BadInput, match=message):
        build(raw, tmp_path / "out", max_bad=MaxBad(number=9))
    assert not (tmp_path / "out" / VERSION).exists()


def test_a_missing_list_of_items_is_named(tmp_path):
    with pytest.raises(BadInput, match=r"counting\.json cannot be read \(No such file"):
        build(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "expected"), [("0", 0), ("20", 20), ("0.1%", 1), ("1%", 19), ("100%", 1999)]
)
def test_limits(text, expected):
    assert MaxBad.parse(text).of(1999) == expected


@pytest.mark.parametrize("text", ["", "few", "-1", "1.5", "101%", "%", "0.1 %"])
def test_what_is_no_limit(text):
    with pytest.raises(BadInput, match="is no limit"):
        MaxBad.parse(text)
