import pickle
import shutil

import numpy as np
import pytest

from tests.data import toy
from tests.tfds_builders.inspection import sets
from vlm3_jax.data.records import DepthRecord, PairRecord, RegionRecord
from vlm3_jax.data.sources import Dataset, find_dataset, open_source
from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.camera import Camera


def by_frame(source) -> dict:
    return {int(record.key.rsplit("/", 1)[1]): record for record in source}


def test_records_hold_what_was_built(toy_data):
    records = by_frame(open_source(toy_data, toy.NAME, "train"))
    assert sorted(records) == list(range(9))
    for number, record in records.items():
        built = toy.example(number)
        assert record.key == f"toy/scene{number // 3}/{number}"
        assert record.image == built["image"]  # The file, not its pixels.
        assert record.camera == Camera.from_array(built["intrinsics"])
        np.testing.assert_array_equal(record.points_xy, built["points_xy"])
        np.testing.assert_array_equal(record.depth_m, built["depth_m"])


def test_splits_and_parts_of_them(toy_data):
    assert sorted(by_frame(open_source(toy_data, toy.NAME, "test"))) == list(range(9, 13))
    whole, part = (open_source(toy_data, toy.NAME, split) for split in ("train", "train[2:5]"))
    assert [record.key for record in part] == [whole[i].key for i in range(2, 5)]


def test_a_source_can_be_sent_to_a_worker(toy_data):
    source = open_source(toy_data, toy.NAME, "train")
    assert pickle.loads(pickle.dumps(source))[3].key == source[3].key


def test_the_newest_version_is_read(toy_data, tmp_path):
    def renamed(example):
        return example | {"scene": "new"}

    shutil.copytree(toy_data / toy.NAME / "1.0.0", tmp_path / toy.NAME / "1.0.0")
    toy.build(tmp_path, renamed, version="1.10.0")
    (tmp_path / toy.NAME / "1.9.0").mkdir()
    assert "/new/" in open_source(tmp_path, toy.NAME, "train")[0].key


@pytest.mark.parametrize(
    ("name", "split", "message"),
    [
        (
            "nowhere/small",
            "train",
            r"holds no built dataset: run `python -m tfds_builders\.build no",
        ),
        ("toy_depth", "train", "name one of its configs, toy_depth/small"),
        (
            toy.NAME,
            "validation",
            r"no records in split 'validation': its splits are train \(9\), test \(4\)\.$",
        ),
        (toy.NAME, "train[:0]", r"no records in split 'train\[:0\]'"),
    ],
)
def test_what_is_not_there_is_named(name, split, message, toy_data):
    with pytest.raises(BadInput, match=message):
        open_source(toy_data, name, split)


def test_what_a_dataset_holds(toy_data):
    found = find_dataset(toy_data, toy.NAME)
    assert found == Dataset(toy.NAME, "1.0.0", DepthRecord, {"train": 9, "test": 4})
    with pytest.raises(BadInput, match="name one of its configs, toy_depth/small"):
        find_dataset(toy_data, "toy_depth")


@pytest.mark.parametrize(
    ("build", "record_type"),
    [(sets.build_pairs, PairRecord), (sets.build_regions, RegionRecord)],
)
def test_the_kind_of_records_is_found(build, record_type, tmp_path):
    build(tmp_path)
    assert find_dataset(tmp_path, sets.NAME).record_type is record_type


def test_records_of_no_known_kind(tmp_path):
    toy.build(tmp_path, lambda example: {"image": example["image"], "scene": "a"})
    with pytest.raises(BadInput, match="no known kind, their features are image, scene: name"):
        find_dataset(tmp_path, toy.NAME)


def test_other_records_are_refused(tmp_path):
    def without_depth(example):
        return {name: value for name, value in example.items() if name != "depth_m"}

    toy.build(tmp_path, without_depth)
    with pytest.raises(BadInput, match="no depth records, for it lacks depth_m"):
        open_source(tmp_path, toy.NAME, "train")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"intrinsics": np.array([0.0, 50, 24, 24, 64, 48])}, "fx is 0.0"),
        ({"intrinsics": np.array([50, np.nan, 24, 24, 64, 48])}, "fy is nan"),
        ({"points_xy": np.full((5, 2), 200, np.float32)}, r"point \(200, 200\) with depth"),
        ({"points_xy": np.zeros((4, 2), np.float32)}, "4 points and 5 depths"),
        (
            {"points_xy": np.zeros((0, 2), np.float32), "depth_m": np.zeros(0, np.float32)},
            "0 points and 0 depths",
        ),
        ({"depth_m": np.array([1, 2, 0, 1, 1], np.float32)}, "with depth 0 m"),
        ({"depth_m": np.array([1, 2, np.nan, 1, 1], np.float32)}, "with depth nan m"),
    ],
)
def test_labels_that_cannot_be_used_are_named(change, message, tmp_path):
    toy.build(tmp_path, lambda example: example | change)
    source = open_source(tmp_path, toy.NAME, "train")
    with pytest.raises(BadInput, match=rf"^toy/scene\d/\d.*{message}"):
        source[0]
