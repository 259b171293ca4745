import h5py
import numpy as np
import pytest

from tests.tfds_builders import pair_sets
from tfds_builders.gta_sfm import gta_sfm_dataset_builder as module
from tfds_builders.gta_sfm.gta_sfm_dataset_builder import Builder
from tfds_builders.writing import write_dataset
from vlm3_jax.errors import BadInput

FLIGHTS = {"train/20190124_203632": "attic", "test/20190127_000000": "barn"}


def write_raw(folder, is_w2c=True):
    for flight, scene in FLIGHTS.items():
        path = folder / f"{flight}.hdf5"
        path.parent.mkdir(parents=True, exist_ok=True)
        with h5py.File(path, "w") as file:
            for number, view in enumerate(pair_sets.scenes(4)[scene]):
                depth = view.depth.astype(np.float32)
                depth[0] = np.inf
                file[f"image_{number}"] = np.frombuffer(view.file("JPEG"), np.uint8)
                file[f"K_{number}"] = view.camera.matrix
                file[f"pose_{number}"] = np.linalg.inv(view.c2w) if is_w2c else view.c2w
                file[f"depth_{number}"] = depth
    return folder


@pytest.mark.parametrize("way", ["w2c", "c2w"])
def test_pairs_are_true(tmp_path, way):
    builder = Builder(config=way, data_dir=tmp_path / "out")
    write_dataset(builder, write_raw(tmp_path / "raw", way == "w2c"))
    for flight, scene in FLIGHTS.items():
        split, name = flight.split("/")
        made = pair_sets.records(builder, split)
        assert len(made) >= 5
        views = pair_sets.scenes(4)[scene]
        for record in made:
            found, one, two = pair_sets.sides(record)
            assert found == name
            pair_sets.assert_true(record, views[int(one)], views[int(two)])
            assert record.images[0] == views[int(one)].file("JPEG")
            assert (record.depth(0)[0] == 0).all()


def test_poses_that_go_the_other_way_are_named(tmp_path):
    raw = write_raw(tmp_path / "raw", is_w2c=False)
    with pytest.raises(BadInput, match=r"share .* as c2w; build gta_sfm/c2w"):
        write_dataset(Builder(config="w2c", data_dir=tmp_path / "out"), raw)


def test_views_of_a_long_flight_are_spread_over_it(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_MAX_VIEWS", 2)
    builder = Builder(config="w2c", data_dir=tmp_path / "out")
    write_dataset(builder, write_raw(tmp_path / "raw"))
    (record,) = pair_sets.records(builder, "train")
    assert sorted(pair_sets.sides(record)[1:]) == ["000000", "000003"]


def replaced(key, value):
    def spoil(path):
        with h5py.File(path, "r+") as file:
            del file[key]
            if value is not None:
                file[key] = value

    return spoil


BAD = {
    "no_pose": (replaced("pose_1", None), "image 1 is damaged"),
    "scaled": (replaced("pose_1", np.diag([2.0, 2, 2, 1])), "pose is not rigid"),
    "mirrored": (replaced("pose_1", np.diag([-1.0, 1, 1, 1])), "pose is not rigid"),
    "skewed": (replaced("K_1", np.ones((3, 3))), "is not fx 0 cx"),
    "k_of_two": (replaced("K_1", np.ones((2, 2))), "intrinsics"),
    "image": (replaced("image_1", np.arange(90, dtype=np.uint8)), "does not decode"),
    "nan": (replaced("depth_1", np.full((48, 64), np.nan)), "not finite"),
    "negative": (replaced("depth_1", np.full((48, 64), -1.0)), "negative"),
    "small": (replaced("depth_1", np.full((24, 32), 1.0)), "is 32x24, but its image 64x48"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_frame_is_named_and_costs_itself(tmp_path, case):
    spoil, message = BAD[case]
    raw = write_raw(tmp_path / "raw")
    spoil(raw / "train" / "20190124_203632.hdf5")
    builder = Builder(config="w2c", data_dir=tmp_path / "out")
    made = pair_sets.built(builder, raw, "train", max_bad="1")
    (line,) = pair_sets.bad_lines(builder)
    assert line["key"] == "20190124_203632/1"
    assert message in line["reason"]
    frames = {frame for record in made for frame in pair_sets.sides(record)[1:]}
    assert frames == {"000000", "000002", "000003"}


@pytest.mark.parametrize("content", [b"", b"nothing of HDF5"])
def test_a_bad_flight_is_named_and_costs_itself(tmp_path, content):
    raw = write_raw(tmp_path / "raw")
    (raw / "train" / "bad.hdf5").write_bytes(content)
    builder = Builder(config="w2c", data_dir=tmp_path / "out")
    made = pair_sets.built(builder, raw, "train", max_bad="1")
    (line,) = pair_sets.bad_lines(builder)
    assert line["key"] == "bad" and "bad.hdf5" in line["reason"]
    assert len(made) >= 5


def test_an_empty_flight_is_named(tmp_path):
    raw = write_raw(tmp_path / "raw")
    h5py.File(raw / "train" / "bad.hdf5", "w").close()
    with pytest.raises(BadInput, match=r"the images of .*bad\.hdf5 are none"):
        write_dataset(Builder(config="w2c", data_dir=tmp_path / "out"), raw)


def test_what_is_missing_is_named(tmp_path):
    (tmp_path / "raw").mkdir()
    with pytest.raises(BadInput, match=r"hdf5 is missing.*'Manual download'.*gta_sfm/README"):
        write_dataset(Builder(config="w2c", data_dir=tmp_path / "out"), tmp_path / "raw")
