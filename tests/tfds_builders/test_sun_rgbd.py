"""SUN RGB-D and NYUv2, which share their reading."""

import numpy as np
import pytest
from scipy.io import savemat

from tests.tfds_builders.known_geometry import SCENES, KnownView, image_file, known_views
from tfds_builders.build import build
from tfds_builders.items import MaxBad
from tfds_builders.sun_rgbd.frames import metres
from vlm3_jax.data.sources import open_source
from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.camera import euclid_from_z

CONFIGS = {"release_faithful": 0.8, "corrected": 1.0}
PLACES = [
    *("kv1/b3dodata/img_0063", "kv2/kinect2data/000002", "realsense/sa/2014_10_21-311"),
    *("xtion/xtion_align_data/2014_05_01", "xtion/sun3ddata/brown/brown_1/0000103-000003423418"),
    *("kv1/NYUdata/NYU0001", "kv1/NYUdata/NYU0002", "kv1/NYUdata/NYU0003"),
]
DEEP = PLACES[4]


def write_raw(folder) -> dict[str, KnownView]:
    """The raw layout: depth_bfx is filled, depth has a hole and half a metre less elsewhere."""
    views = dict(zip(PLACES, [v for s in SCENES for v in known_views(s, 4)], strict=True))
    for place, view in views.items():
        for part in ("image", "depth", "depth_bfx", "fullres", "annotation2Dfinal"):
            (folder / place / part).mkdir(parents=True)
        camera = view.camera
        matrix = f"{camera.fx} 0 {camera.cx} 0 {camera.fy} {camera.cy} 0 0 1"
        (folder / place / "intrinsics.txt").write_text(matrix + "\n")
        (folder / place / "image" / "0001.jpg").write_bytes(view.file("JPEG"))
        for part, z in (("depth_bfx", view.depth), ("depth", view.depth - 0.5)):
            depth = np.rint(z * 1000).astype(np.uint16) << 3
            if part == "depth":
                depth[10:30] = 0
            (folder / place / part / "0001.png").write_bytes(image_file(depth))
    savemat(folder / "splits.mat", {"trainNdxs": [[2]], "testNdxs": [[1], [3]]})
    return views


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    folder = tmp_path_factory.mktemp("SUNRGBD")
    return folder, write_raw(folder)


def read(out, name, split="test"):
    return {"/".join(r.key.split("/")[1:]): r for r in open_source(out, name, split)}


def check(record, view, config, less):
    assert record.camera == view.camera and record.image == view.file("JPEG")
    assert (record.label_kind, record.scale_type, record.c2w) == ("euclid", "metric", None)
    assert len(record.points_xy) == 100
    z = record.z_m / CONFIGS[config]
    assert np.abs(z + less - view.z_at(record.points_xy)).max() < 1e-3
    assert view.label_error(record.camera, view.c2w, record.points_xy, z + less) < 0.5
    expected = euclid_from_z(view.camera, record.points_xy, record.z_m)
    np.testing.assert_allclose(record.depth_m, expected, rtol=1e-6)


def test_golden_values():
    assert metres(np.array([16000], np.uint16), "corrected") == [2.0]
    assert metres(np.array([16000], np.uint16), "release_faithful") == [1.6]
    values = np.array([0, 8, 65528, 9], np.uint16)
    assert metres(values, "corrected").tolist() == [0, 0.001, 8.191, 8.193]


@pytest.mark.parametrize("config", CONFIGS)
def test_sun_rgbd_reads_back_what_the_cameras_saw(raw, tmp_path, config):
    build(f"sun_rgbd/{config}", tmp_path, raw[0])
    records = read(tmp_path, f"sun_rgbd/{config}")
    places = {place for place in PLACES if "NYU" not in place}
    assert set(records) == (places if config == "corrected" else places - {DEEP})
    for place, record in records.items():
        check(record, raw[1][place], config, less=0)


@pytest.mark.parametrize("config", CONFIGS)
def test_nyu_v2_reads_back_what_the_camera_saw(raw, tmp_path, config):
    build(f"nyu_v2/{config}", tmp_path, raw[0])
    splits = ["test"] if config == "release_faithful" else ["test", "train"]
    records = [read(tmp_path, f"nyu_v2/{config}", split) for split in splits]
    numbers = [sorted(int(key[-4:]) for key in part) for part in records]
    assert numbers == ([[1, 2, 3]] if config == "release_faithful" else [[1, 3], [2]])
    for place, record in (pair for part in records for pair in part.items()):
        check(record, raw[1][f"kv1/{place}"], config, less=0.5)
        assert not ((record.points_xy[:, 1] >= 10) & (record.points_xy[:, 1] < 30)).any()


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("sun_rgbd/corrected", "xtion"),
        ("nyu_v2/release_faithful", "kv1/NYUdata"),
        ("nyu_v2/corrected", "splits.mat"),
    ],
)
def test_a_missing_part_is_named(tmp_path, name, part):
    write_raw(tmp_path / "raw")
    (tmp_path / "raw" / part).rename(tmp_path / "elsewhere")
    builder = name.partition("/")[0]
    with pytest.raises(BadInput, match=f"{part} is missing.*tfds_builders/{builder}/README.md"):
        build(name, tmp_path / "out", tmp_path / "raw")


FRAME = PLACES[1]
DEPTH = f"{FRAME}/depth_bfx/0001.png"


@pytest.mark.parametrize(
    ("file", "data", "message"),
    [
        (f"{FRAME}/image/0001.jpg", b"no image", "does not decode"),
        (f"{FRAME}/image/0001.jpg", None, "has 0 files *.jpg"),
        (f"{FRAME}/image/0002.jpg", b"", "has 2 files *.jpg"),
        (DEPTH, None, "has 0 files *.png"),
        (DEPTH, b"no image", "does not decode"),
        (DEPTH, image_file(np.full((64, 95), 9000, np.uint16)), "is 95x64"),
        (DEPTH, image_file(np.full((64, 96), 8, np.uint16)), "no depth anywhere"),
        (f"{FRAME}/intrinsics.txt", None, "intrinsics.txt cannot be read"),
        (f"{FRAME}/intrinsics.txt", b"70 72 47 30", "4 numbers instead of 9"),
        (f"{FRAME}/intrinsics.txt", b"70 1 47 0 72 30 0 0 1", "is no calibration matrix"),
        (f"{FRAME}/intrinsics.txt", b"-70 0 47 0 72 30 0 0 1", "fx is -70"),
    ],
    ids=range(11),
)
def test_a_corrupt_file_costs_only_itself(tmp_path, file, data, message):
    raw = tmp_path / "raw"
    write_raw(raw)
    (raw / file).write_bytes(data) if data is not None else (raw / file).unlink()
    folder, _ = build("sun_rgbd/corrected", tmp_path / "out", raw, max_bad=MaxBad(number=1))
    records = read(tmp_path / "out", "sun_rgbd/corrected")
    assert set(records) == {place for place in PLACES if "NYU" not in place} - {FRAME}
    report = folder.with_name("1.0.0.bad.jsonl").read_text()
    assert message in report and FRAME in report


def test_a_frame_without_its_image_folder_is_reported(tmp_path):
    write_raw(tmp_path / "raw")
    (tmp_path / "raw" / FRAME / "image").rename(tmp_path / "image")
    with pytest.raises(BadInput, match="000002/image has 0 files"):
        build("sun_rgbd/corrected", tmp_path / "out", tmp_path / "raw")


def test_splits_of_nyu_v2_that_are_none(tmp_path):
    write_raw(tmp_path / "raw")
    (tmp_path / "raw" / "splits.mat").write_bytes(b"MATLAB?" * 99)
    with pytest.raises(BadInput, match=r"splits\.mat holds no trainNdxs and testNdxs"):
        build("nyu_v2/corrected", tmp_path / "out", tmp_path / "raw")
    savemat(tmp_path / "raw" / "splits.mat", {"trainNdxs": [[2]], "testNdxs": [[4], [1]]})
    build("nyu_v2/corrected", tmp_path / "out", tmp_path / "raw", max_bad=MaxBad(number=1))
    assert list(read(tmp_path / "out", "nyu_v2/corrected")) == ["NYUdata/NYU0001"]
