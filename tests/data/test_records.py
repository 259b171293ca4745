import dataclasses
from contextlib import nullcontext

import numpy as np
import pytest
import tensorflow_datasets as tfds

from tests.data import toy
from tests.tfds_builders.test_depthlm_jsonl import png
from tfds_builders import base, schema
from tfds_builders.items import Item
from tfds_builders.writing import write_dataset
from vlm3_jax.data.depth_maps import encode_depth
from vlm3_jax.data.records import DepthRecord, PairRecord, RegionRecord
from vlm3_jax.data.sources import open_source
from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.camera import Camera, euclid_from_z

CAMERA = Camera(50.0, 52.0, 31.0, 24.0, 64, 48)
IMAGE = png(64, 48)
POSE = np.eye(4)
POSE[:3, 3] = 0.1, -2, 1 / 3
NAMES = {"scale_type": "metric", "dataset": "made", "scene": "room", "frame": "1"}
DEPTH = {
    "image": IMAGE,
    "intrinsics": CAMERA.to_array(),
    "c2w": POSE,
    "points_xy": np.array([[3, 4], [60, 40]], np.float32),
    "depth_m": np.array([2.0, 3.0], np.float32),
    "label_kind": "z",
    **NAMES,
}
WALL = np.full((48, 64), 2.5, np.float32)
PAIR = {
    **{"image1": IMAGE, "image2": IMAGE[:-1] + b"?", "c2w1": np.eye(4), "c2w2": POSE},
    **{
        "intrinsics1": CAMERA.to_array(),
        "intrinsics2": dataclasses.replace(CAMERA, fx=51.0).to_array(),
    },
    **dict(zip(("depth_map1", "depth_scale1"), encode_depth(WALL), strict=True)),
    **{"depth_map2": b"", "depth_scale2": 0.0},
    "corr": np.array([[1, 2, 3, 4]], np.float32),
    "covisibility": np.array([0.5, 0.25], np.float32),
    "covisibility_normalised": np.array([0.75, 0.5], np.float32),
    **NAMES,
}
REGION = {
    "image": IMAGE,
    "intrinsics": schema.NO_INTRINSICS,
    "boxes_xyxy": np.array([[1, 2, 30, 40], [5, 6, 7, 8]], np.float32),
    "questions": ["Is <mask> above <mask>?", "How far is Region [1]?"],
    "answers": ["Yes.", "2 m."],
    "qa_types": ["qualitative", "quantitative"],
    "categories": ["above_predicate", ""],
    **NAMES,
}
KINDS = {
    DepthRecord: (schema.depth_features, DEPTH),
    PairRecord: (schema.pair_features, PAIR),
    RegionRecord: (schema.region_features, REGION),
}


class Made(base.Builder):
    """One record, which `Made.example` holds."""

    VERSION = tfds.core.Version("1.0.0")
    kind, example = DepthRecord, DEPTH

    def features(self):
        return KINDS[self.kind][0]()

    def items(self, raw):
        return {"train": [Item("one")]}

    def examples(self, raw, item):
        yield self.example


def read(monkeypatch, folder, kind, **changes):
    """Builds the record of a kind with changes and reads it back."""
    monkeypatch.setattr(Made, "kind", kind)
    monkeypatch.setattr(Made, "example", KINDS[kind][1] | changes)
    write_dataset(Made(data_dir=folder))
    return open_source(folder, "made", "train", kind)[0]


def test_depth_records(monkeypatch, tmp_path):
    record = read(monkeypatch, tmp_path, DepthRecord, scale_type="colmap")
    assert record.key == "made/room/1" and record.image == IMAGE and record.camera == CAMERA
    np.testing.assert_array_equal(record.c2w, POSE)  # All digits: TFDS would cut to float32.
    assert (record.scale_type, record.split, record.label_kind) == ("colmap", "train", "z")
    np.testing.assert_array_equal(record.z_m, record.depth_m)


def test_a_pose_may_be_unknown(monkeypatch, tmp_path):
    assert read(monkeypatch, tmp_path, DepthRecord, c2w=schema.NO_POSE).c2w is None


def test_distances_become_depths(monkeypatch, tmp_path):
    distance = euclid_from_z(CAMERA, DEPTH["points_xy"], DEPTH["depth_m"]).astype(np.float32)
    record = read(monkeypatch, tmp_path, DepthRecord, label_kind="euclid", depth_m=distance)
    assert (record.depth_m > DEPTH["depth_m"]).all()
    np.testing.assert_allclose(record.z_m, DEPTH["depth_m"], rtol=1e-6)


def test_pair_records(monkeypatch, tmp_path):
    record = read(monkeypatch, tmp_path, PairRecord)
    assert record.images == (PAIR["image1"], PAIR["image2"])
    assert [camera.fx for camera in record.cameras] == [50, 51]
    np.testing.assert_array_equal(record.c2w, [np.eye(4), POSE])
    np.testing.assert_array_equal(record.corr, PAIR["corr"])
    assert (record.covisibility, record.covisibility_normalised) == ((0.5, 0.25), (0.75, 0.5))
    np.testing.assert_allclose(record.depth(0), WALL, atol=1e-6)
    assert record.depth(1) is None


def test_region_records(monkeypatch, tmp_path):
    record = read(monkeypatch, tmp_path, RegionRecord)
    assert record.camera is None
    np.testing.assert_array_equal(record.boxes_xyxy, REGION["boxes_xyxy"])
    for name in ("questions", "answers", "qa_types", "categories"):
        assert list(getattr(record, name)) == REGION[name]
    known = read(monkeypatch, tmp_path, RegionRecord, intrinsics=CAMERA.to_array())
    assert known.camera == CAMERA


MIRRORED = np.diag([1.0, 1, -1, 1])
BAD = [
    (DepthRecord, {"c2w": MIRRORED}, "made/room/1: c2w is not rigid"),
    (DepthRecord, {"label_kind": "disparity"}, "label_kind is 'disparity'"),
    (DepthRecord, {"scale_type": "feet"}, "scale_type is 'feet'"),
    (DepthRecord, {"depth_m": np.array([1, -1], np.float32)}, "with depth -1 m"),
    (PairRecord, {"c2w2": schema.NO_POSE}, "c2w2 is no 4x4 matrix of finite numbers"),
    (PairRecord, {"intrinsics2": np.zeros(6)}, "fx is 0"),
    (PairRecord, {"corr": np.array([[1, 2, 64, 3]], np.float32)}, r"\[1.0, 2.0, 64.0, 3.0\]"),
    (RegionRecord, {"answers": ["Yes."]}, "2 questions, 1 answers"),
    (
        RegionRecord,
        {name: [] for name in ("questions", "answers", "qa_types", "categories")},
        "0 questions",
    ),
]


@pytest.mark.parametrize(("kind", "change", "message"), BAD)
def test_what_cannot_be_used_is_named(monkeypatch, tmp_path, kind, change, message):
    with pytest.raises(BadInput, match=message):
        read(monkeypatch, tmp_path, kind, **change)


def test_records_of_another_kind_are_refused(monkeypatch, tmp_path):
    read(monkeypatch, tmp_path, DepthRecord)
    with pytest.raises(BadInput, match="has no pair records, for it lacks c2w1"):
        open_source(tmp_path, "made", "train", PairRecord)


@pytest.mark.parametrize(("version", "readable"), [("1.7", True), ("2.0", False), ("0.9", False)])
def test_another_major_version_is_refused(monkeypatch, tmp_path, version, readable):
    monkeypatch.setattr(base, "SCHEMA_VERSION", version)
    refused = pytest.raises(BadInput, match=f"schema version {version}, but this program reads 1")
    with nullcontext() if readable else refused:
        assert read(monkeypatch, tmp_path, DepthRecord).key == "made/room/1"


def test_sets_of_before_the_schema_are_read(toy_data):
    record = open_source(toy_data, toy.NAME, "train")[0]
    assert record.c2w is None and (record.scale_type, record.split) == ("metric", "")
