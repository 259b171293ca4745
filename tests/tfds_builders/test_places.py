import os
from pathlib import Path

import pytest
from etils import epath

from tests.tfds_builders import object_store
from tests.tfds_builders.counting import files, made, write_raw
from tests.tfds_builders.test_depthlm_jsonl import line, write_set
from tfds_builders.build import build
from tfds_builders.items import MaxBad
from tfds_builders.places import data_folder, whole_file
from tfds_builders.writing import write_dataset
from vlm3_jax.errors import BadInput

VERSION = "counting/1.0.0"


@pytest.fixture
def bucket(tmp_path, monkeypatch) -> epath.Path:
    """A folder in an object store."""
    (tmp_path / "store").mkdir()
    monkeypatch.setenv("TEST_OBJECT_STORE", str(tmp_path / "store"))
    return data_folder("s3://bucket/sets")


def write(raw: Path, out: os.PathLike, **settings) -> None:
    write_dataset(object_store.Counting(data_dir=out), raw, **settings)


def names(folder: epath.Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def content(folder: epath.Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("workers", [1, 2])
def test_an_object_store_gets_the_bytes_of_a_local_folder(tmp_path, bucket, workers):
    raw = write_raw(tmp_path / "raw")
    write(raw, tmp_path / "local")
    write(raw, bucket, workers=workers)
    assert content(bucket / VERSION) == files(tmp_path / "local" / VERSION)
    assert names(bucket / "counting") == ["1.0.0"]


def test_a_new_build_replaces_the_old_one(tmp_path, bucket):
    write(write_raw(tmp_path / "raw"), bucket)
    old = content(bucket / VERSION)
    bad = write_raw(tmp_path / "bad", train=3, bad=[[0, 1]])
    with pytest.raises(BadInput, match=r"mend what s3://bucket/sets/counting/1\.0\.0\.bad\.jsonl"):
        write(bad, bucket, max_bad=MaxBad(number=0))
    assert content(bucket / VERSION) == old
    write(bad, bucket, max_bad=MaxBad(number=1))
    assert names(bucket / VERSION)[:3] == [
        "counting-test.array_record-00000-of-00002",
        "counting-test.array_record-00001-of-00002",
        "counting-train.array_record-00000-of-00001",
    ]
    assert names(bucket / "counting") == ["1.0.0", "1.0.0.bad.jsonl"]


def test_finished_shards_are_not_made_again(tmp_path, bucket):
    raw = write_raw(tmp_path / "raw", broken=[7])
    with pytest.raises(RuntimeError, match="a defect"):
        write(raw, bucket)
    first = made(raw)
    write(write_raw(raw), bucket)
    assert 0 < len(set(first) & set(made(raw))) <= 3
    write(raw, tmp_path / "local")
    assert content(bucket / VERSION) == files(tmp_path / "local" / VERSION)


def test_a_builder_by_its_name(tmp_path, bucket):
    raw = write_set(tmp_path / "raw", rooms=[line()])
    folder, is_new = build("depthlm_jsonl", "s3://bucket/sets", raw)
    assert is_new and str(folder) == "s3://bucket/sets/depthlm_jsonl/1.0.0"
    assert build("depthlm_jsonl", "s3://bucket/sets", raw) == (folder, False)
    (folder / "dataset_info.json").unlink()  # What a reader has not got is not built.
    assert build("depthlm_jsonl", "s3://bucket/sets", raw) == (folder, True)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ftp://host/sets", "ftp:// is not known; name a folder or gs://, s3://, az://"),
        ("az://sets", "its library is not installed .*adlfs.*; pip install it"),
    ],
)
def test_a_store_that_cannot_be_used_is_an_error(name, message):
    with pytest.raises(BadInput, match=message):
        data_folder(name)


def test_a_store_that_may_not_be_written_to_is_an_error(tmp_path, bucket, monkeypatch):
    raw = write_raw(tmp_path / "raw")

    def refuse(*_, **__):
        raise PermissionError("not yours")

    monkeypatch.setattr(object_store.ObjectStore, "_open", refuse)
    with pytest.raises(BadInput, match=r"building cannot be written to \(PermissionError: not"):
        write(raw, bucket)


def test_raw_data_in_a_store_are_refused(tmp_path):
    with pytest.raises(BadInput, match="--manual_dir=gs://bucket/raw is no local folder; mount it"):
        build("depthlm_jsonl", tmp_path, "gs://bucket/raw")


@pytest.mark.parametrize("remote", [False, True])
def test_a_file_appears_when_it_is_whole(tmp_path, bucket, remote):
    folder = bucket if remote else epath.Path(tmp_path)
    path = folder / "a.txt"
    with pytest.raises(RuntimeError), whole_file(path) as file:
        file.write_text("half")
        raise RuntimeError
    with whole_file(path):
        pass
    assert not path.exists()
    with whole_file(path) as file:
        file.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole" and names(folder)[0] == "a.txt"
