import json
import shutil

import h5py
import numpy as np
import pytest

from tests.tfds_builders import pair_sets
from tfds_builders.ta_wb import pairs_file
from tfds_builders.ta_wb.ta_wb_dataset_builder import Builder
from tfds_builders.writing import write_dataset
from vlm3_jax.errors import BadInput

ENVIRONMENTS = {"attic": "OldTownFall", "barn": "Office"}


@pytest.fixture(autouse=True)
def _fresh_cameras():
    pairs_file.read_cameras.cache_clear()


def pairs_of(scene):
    views = pair_sets.scenes()[scene]
    return [(views[0], views[1]), (views[2], views[0])]


def write_raw(folder, splits=("train", "val")):
    """Two pairs of each scene in a file of its own, and one of views that share nothing."""
    for split in splits:
        (folder / split).mkdir(parents=True)
        cameras = folder / f"{split}_camera_data"
        cameras.mkdir()
        shown, rows = [], []
        for number, (scene, environment) in enumerate(ENVIRONMENTS.items()):
            pairs = pairs_of(scene)
            with h5py.File(folder / split / f"part{number}.h5", "w") as file:
                for side in range(2):
                    file[f"img{side}"] = np.stack([pair[side].image for pair in pairs])
                    depth = np.stack([pair[side].depth for pair in pairs]).astype(np.float32)
                    depth[:, :2] = 90.0  # Sky in OldTown alone.
                    file[f"depth{side}"] = depth
            first = len(shown)
            places = [[f"part{number}.h5", place] for place in range(2)]
            if number:
                places = [{"file_name": name, "file_index": place} for name, place in places]
            index = {str(first + place): entry for place, entry in enumerate(places)}
            (folder / split / f"index{number}.json").write_text(json.dumps(index))
            shown += pairs
            rows += [[environment, environment, 0.5]] * 2
        for side in range(2):
            poses = np.stack([pair[side].c2w for pair in shown])
            np.savez(cameras / f"cam{side + 1}_extrinsics.npz", poses)
            matrices = np.stack([pair[side].camera.matrix for pair in shown])
            np.savez(cameras / f"cam{side + 1}_intrinsics.npz", matrices)
        table = {"columns": ["img1_env", "img2_env", "x"], "index": [0, 1, 2, 3], "data": rows}
        (cameras / "metadata.json").write_text(json.dumps(table))
    return folder


def test_pairs_are_true(tmp_path):
    builder = Builder(data_dir=tmp_path / "out")
    write_dataset(builder, write_raw(tmp_path / "raw"))
    for split in ("train", "validation"):
        made = pair_sets.records(builder, split)
        assert len(made) == 4
        for record in made:
            scene, *frames = pair_sets.sides(record)
            (pair, first), (same, second) = (map(int, frame.split("_")) for frame in frames)
            assert pair == same and {first, second} == {0, 1}
            shown = [pair for scene in ENVIRONMENTS for pair in pairs_of(scene)][pair]
            is_attic = pair < 2
            assert scene == ("OldTown" if is_attic else "Office")
            depth = record.depth(0)
            assert (depth[:2] == 0).all() if is_attic else (depth[:2] > 89).all()
            if is_attic:
                pair_sets.assert_true(record, shown[first], shown[second])


def test_only_the_training_split_leaves_out_what_shares_little(tmp_path):
    raw = write_raw(tmp_path / "raw")
    for split in ("train", "val"):
        path = raw / f"{split}_camera_data" / "cam2_extrinsics.npz"
        poses = np.load(path)["arr_0"]
        turn = [[0.8, 0, 0.6], [0, 1, 0], [-0.6, 0, 0.8]]
        poses[0, :3, :3] = poses[0, :3, :3] @ turn
        np.savez(path, poses)
    builder = Builder(data_dir=tmp_path / "out")
    write_dataset(builder, raw)
    assert len(pair_sets.records(builder, "train")) == 3
    (little,) = [
        record
        for record in pair_sets.records(builder, "validation")
        if pair_sets.sides(record)[1].startswith("00000000")
    ]
    assert 0 < min(little.covisibility_normalised) < 0.25


def h5_of(raw):
    return raw / "train" / "part1.h5"


def spoiled(name, place, value):
    def spoil(raw):
        with h5py.File(h5_of(raw), "r+") as file:
            data = file[name][:]
            data[place] = value
            del file[name]
            file[name] = data

    return spoil


def bad_pose(raw):
    path = raw / "train_camera_data" / "cam1_extrinsics.npz"
    poses = np.load(path)["arr_0"]
    poses[3, 0, 0] = 2
    np.savez(path, poses)


def skewed(raw):
    path = raw / "train_camera_data" / "cam1_intrinsics.npz"
    matrices = np.load(path)["arr_0"]
    matrices[3, 0, 1] = 1
    np.savez(path, matrices)


BAD = {
    "nan": (spoiled("depth1", 1, np.nan), "not finite", 1),
    "negative": (spoiled("depth0", 1, -1), "negative", 1),
    "empty": (spoiled("depth0", 1, 0), "no depth anywhere", 1),
    "pose": (bad_pose, "pose is not rigid", 1),
    "skew": (skewed, "is not fx 0 cx", 1),
    "cut": (lambda raw: h5_of(raw).write_bytes(h5_of(raw).read_bytes()[:2000]), "part1.h5", 2),
    "gone": (lambda raw: h5_of(raw).unlink(), "part1.h5", 2),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_bad_is_named_and_costs_itself(tmp_path, case):
    spoil, message, lost = BAD[case]
    raw = write_raw(tmp_path / "raw", ["train"])
    spoil(raw)
    builder = Builder(data_dir=tmp_path / "out")
    made = pair_sets.built(builder, raw, "train", max_bad="2")
    lines = pair_sets.bad_lines(builder)
    assert len(lines) == lost and all(message in line["reason"] for line in lines)
    assert all(line["key"] in ("train/00000002", "train/00000003") for line in lines)
    assert len(made) == 4 - lost


def test_a_pickle_is_never_loaded(tmp_path):
    raw = write_raw(tmp_path / "raw", ["train"])
    path = raw / "train_camera_data" / "cam1_extrinsics.npz"
    np.savez(path, np.array([{"a": 1}] * 4, object))
    with pytest.raises(BadInput, match=r"cam1_extrinsics\.npz.*allow_pickle=False"):
        write_dataset(Builder(data_dir=tmp_path / "out"), raw)


@pytest.mark.parametrize(
    "gone", ["train", "train_camera_data/metadata.json", "train_camera_data/cam2_intrinsics.npz"]
)
def test_what_is_missing_is_named(tmp_path, gone):
    raw = write_raw(tmp_path / "raw", ["train"])
    shutil.rmtree(raw / gone) if gone == "train" else (raw / gone).unlink()
    with pytest.raises(BadInput, match=f"{gone} is missing.*'Manual download'.*ta_wb/README"):
        write_dataset(Builder(data_dir=tmp_path / "out"), raw)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("train/index0.json", '{"0": ["../a.h5", 0]}', "is no file beside it"),
        ("train/index0.json", "[", "index0.json is damaged"),
        ("train/index0.json", '{"9": ["part0.h5", 0]}', "does not tell of"),
        ("train_camera_data/metadata.json", '{"columns": []}', "metadata.json is damaged"),
    ],
)
def test_a_bad_index_is_named(tmp_path, name, text, message):
    raw = write_raw(tmp_path / "raw", ["train"])
    (raw / name).write_text(text)
    with pytest.raises(BadInput, match=message):
        write_dataset(Builder(data_dir=tmp_path / "out"), raw)
