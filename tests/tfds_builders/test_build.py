import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.tfds_builders.reading import read_split
from tests.tfds_builders.test_depthlm_jsonl import line, write_set
from tfds_builders.build import build, names
from tfds_builders.depthlm_jsonl.depthlm_jsonl_dataset_builder import Builder
from vlm3_jax.errors import BadInput


def run(*arguments: str | Path) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "tfds_builders.build", *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    return subprocess.run(
        command, capture_output=True, text=True, cwd=REPOSITORY, env=environment, timeout=120
    )


def test_the_builders_are_found():
    assert names() == sorted(names()) and {"depthlm_jsonl", "synthetic_rooms"} <= set(names())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing", "no builder 'nothing'; choose one of .*depthlm_jsonl,.* synthetic_rooms"),
        ("../base", "no builder"),
        ("synthetic_rooms/large", "no config 'large'; choose one of views, pairs, regions, quick"),
        ("depthlm_jsonl/large", "no config 'large'; it has none"),
        ("depthlm_jsonl", "--manual_dir is missing"),
    ],
)
def test_an_unknown_name_is_an_error(tmp_path, name, message):
    with pytest.raises(BadInput, match=message):
        build(name, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_manual_dir_without_files_is_an_error(tmp_path):
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "none", tmp_path / "empty"):
        with pytest.raises(BadInput, match="is not a folder with files"):
            build("depthlm_jsonl", tmp_path / "out", folder)


def test_a_data_dir_that_is_a_file_is_an_error(tmp_path):
    raw = write_set(tmp_path / "raw", rooms=[line()])
    with pytest.raises(BadInput, match="cannot be made"):
        build("depthlm_jsonl", raw / "rooms.jsonl", raw)
    with pytest.raises(BadInput, match="cannot be made"):
        build("depthlm_jsonl", raw / "rooms.jsonl" / "below", raw)


def test_a_built_dataset_is_kept_until_overwrite_asks_for_a_new_one(tmp_path):
    raw, out = write_set(tmp_path / "raw", rooms=[line()]), tmp_path / "out"
    folder, _ = build("depthlm_jsonl", out, raw)
    (raw / "rooms.jsonl").write_text("{")
    assert build("depthlm_jsonl", out, raw) == (folder, False)
    with pytest.raises(BadInput, match="not JSON"):
        build("depthlm_jsonl", out, raw, overwrite=True)
    assert [r["depth_m"][0] for r in read_split(folder, "test")] == [1.0]
    assert [path.name for path in out.iterdir()] == ["depthlm_jsonl"]
    write_set(tmp_path / "raw2", rooms=[line(depth=[9, 9, 9])])
    assert build("depthlm_jsonl", out, tmp_path / "raw2", overwrite=True) == (folder, True)
    assert [r["depth_m"][0] for r in read_split(folder, "test")] == [9.0]
    assert [path.name for path in out.iterdir()] == ["depthlm_jsonl"]


def test_the_file_format_survives_pickling(tmp_path):
    copy = pickle.loads(pickle.dumps(Builder(data_dir=tmp_path)))
    assert copy.info.file_format.value == "array_record"


def test_the_command_builds_and_prints_the_place(tmp_path):
    raw = write_set(tmp_path / "raw", rooms=[line()])
    done = run("depthlm_jsonl", f"--manual_dir={raw}", f"--data_dir={tmp_path / 'out'}")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{tmp_path / 'out' / 'depthlm_jsonl' / '1.0.0'}: test 1\n"


def test_the_command_fails_with_one_sentence(tmp_path):
    raw = write_set(tmp_path / "raw", rooms=[line(), "{"])
    done = run("depthlm_jsonl", f"--manual_dir={raw}", f"--data_dir={tmp_path / 'out'}")
    assert done.returncode == 2 and not done.stdout
    assert "Traceback" not in done.stderr
    errors = [text for text in done.stderr.splitlines() if text.startswith("error: ")]
    assert len(errors) == 1 and "rooms.jsonl line 2 is not JSON" in errors[0]
    assert not (tmp_path / "out").exists()


def test_the_command_reports_bad_records(tmp_path):
    raw = write_set(tmp_path / "raw", rooms=[line(), "{", line(image="kitchen/b.png")])
    arguments = "depthlm_jsonl", f"--manual_dir={raw}", f"--data_dir={tmp_path / 'out'}"
    folder = tmp_path / "out" / "depthlm_jsonl"
    done = run(*arguments, "--max_bad=0")
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "1 of 3 records are bad" in done.stderr.splitlines()[-1]
    assert [path.name for path in folder.iterdir()] == ["1.0.0.bad.jsonl"]
    done = run(*arguments, "--max_bad=34%")
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("1.0.0: test 2\n")
    assert f"1 of 3 records are left out: see {folder / '1.0.0.bad.jsonl'}" in done.stderr
    (bad,) = map(json.loads, (folder / "1.0.0.bad.jsonl").read_text().splitlines())
    assert bad["key"] == "rooms.jsonl/2" and "rooms.jsonl line 2 is not JSON" in bad["reason"]
