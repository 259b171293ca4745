import numpy as np
import pytest

from tests.tfds_builders import pair_sets
from tests.tfds_builders.known_geometry import image_file
from tfds_builders.dtu.dtu_dataset_builder import TEST, Builder
from tfds_builders.dtu.files import read_cam, read_pfm
from tfds_builders.writing import write_dataset
from vlm3_jax.errors import BadInput

SCANS = {"scan1": "attic", "scan2": "barn"}


def write_pfm(path, values, kind="Pf"):
    path.parent.mkdir(parents=True, exist_ok=True)
    head = f"{kind}\n{values.shape[1]} {values.shape[0]}\n-1.000000\n"
    path.write_bytes(head.encode() + values[::-1].astype("<f4").tobytes())


def write_cam(path, w2c, k):
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = ["extrinsic", *(" ".join(map(repr, row)) for row in w2c.tolist()), ""]
    rows += ["intrinsic", *(" ".join(map(repr, row)) for row in k.tolist()), "", "425.0 2.5"]
    path.write_text("\n".join(rows) + "\n")


def write_raw(folder, size=0.2):
    """Both scenes, `size` times as large, in millimetres; all scans share the cameras."""
    millimetres = 1000 * size
    for scan, scene in SCANS.items():
        for number, view in enumerate(pair_sets.scenes()[scene]):
            image = folder / "Rectified" / scan / f"rect_{number + 1:03d}_3_r5000.png"
            image.parent.mkdir(parents=True, exist_ok=True)
            image.write_bytes(view.file())
            depths = folder / "Depths_raw" / scan
            write_pfm(depths / f"depth_map_{number:04d}.pfm", view.depth * millimetres)
            mask = np.full(view.depth.shape, 255, np.uint8)
            mask[:, :6], mask[:, 6:9] = 10, 11
            (depths / f"depth_visual_{number:04d}.png").write_bytes(image_file(mask))
            c2w = view.c2w.copy()
            c2w[:3, 3] *= millimetres
            cam = folder / "Cameras" / f"{number:08d}_cam.txt"
            write_cam(cam, np.linalg.inv(c2w), view.camera.matrix)
    return folder


def test_pairs_are_true(tmp_path):
    builder = Builder(data_dir=tmp_path / "out")
    write_dataset(builder, write_raw(tmp_path / "raw", size=0.2))
    assert len(TEST) == 22
    for split, scan in (("test", "scan1"), ("train", "scan2")):
        views = pair_sets.scenes()[SCANS[scan]]
        made = pair_sets.records(builder, split)
        assert len(made) == 3
        for record in made:
            scene, one, two = pair_sets.sides(record)
            assert scene == scan and record.scale_type == "metric"
            # Five times smaller than the room: one metre of the record is five of the room.
            pair_sets.assert_true(record, views[int(one)], views[int(two)], unit=5.0)
            depth = record.depth(0)
            assert (depth[:, :6] == 0).all() and (depth[:, 6:] > 0).all()
            assert record.corr[:, 0].min() >= 6


def test_a_camera_is_read_as_mvsnet_writes_it(tmp_path):
    text = """extrinsic
0.970263 0.00747983 0.241939 -191.02
-0.0147429 0.999493 0.0282234 3.28832
-0.241605 -0.030951 0.969881 22.5401
0.0 0.0 0.0 1.0

intrinsic
2892.33 0 823.205
0 2883.18 619.071
0 0 1

425 2.5
"""
    (tmp_path / "a_cam.txt").write_text(text)
    w2c, k = read_cam(tmp_path / "a_cam.txt")
    assert w2c[0, 3] == -191.02 and w2c[3].tolist() == [0, 0, 0, 1]
    assert k.tolist() == [[2892.33, 0, 823.205], [0, 2883.18, 619.071], [0, 0, 1]]


def test_pfm_lies_from_bottom_to_top_in_either_byte_order(tmp_path):
    rows = np.array([[1, 2, 3], [4, 5, 6]], ">f4")
    (tmp_path / "a.pfm").write_bytes(b"Pf\n3 2\n1.0\n" + rows.tobytes())
    read = read_pfm(tmp_path / "a.pfm")
    assert read.tolist() == [[4, 5, 6], [1, 2, 3]] and read.dtype == np.float32


def depth(raw):
    return raw / "Depths_raw" / "scan2" / "depth_map_0001.pfm"


BAD = {
    "cut": (lambda raw: depth(raw).write_bytes(depth(raw).read_bytes()[:-8]), "no whole PFM"),
    "text": (lambda raw: depth(raw).write_text("nothing"), "no whole PFM"),
    "colour": (lambda raw: write_pfm(depth(raw), np.ones((48, 64)), "PF"), "of one channel"),
    "small": (lambda raw: write_pfm(depth(raw), np.ones((24, 32))), "has another size"),
    "nan": (lambda raw: write_pfm(depth(raw), np.full((48, 64), np.nan)), "not finite"),
    "negative": (lambda raw: write_pfm(depth(raw), np.full((48, 64), -1.0)), "negative"),
    "empty": (lambda raw: write_pfm(depth(raw), np.zeros((48, 64))), "no depth anywhere"),
    "mask": (
        lambda raw: (raw / "Depths_raw/scan2/depth_visual_0001.png").unlink(),
        "depth_visual_0001.png cannot be read",
    ),
    "image": (
        lambda raw: (raw / "Rectified/scan2/rect_002_3_r5000.png").write_bytes(b"x"),
        "rect_002_3_r5000.png does not decode",
    ),
    "name": (
        lambda raw: depth(raw).rename(depth(raw).with_name("depth_map_x.pfm")),
        "has no number for a name",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_frame_is_named_and_costs_itself(tmp_path, case):
    spoil, message = BAD[case]
    raw = write_raw(tmp_path / "raw")
    spoil(raw)
    builder = Builder(data_dir=tmp_path / "out")
    made = pair_sets.built(builder, raw, "train", max_bad="1")
    (line,) = pair_sets.bad_lines(builder)
    assert line["key"].startswith("scan2/") and message in line["reason"]
    assert [sorted(pair_sets.sides(record)[1:]) for record in made] == [["0000", "0002"]]
    assert len(pair_sets.records(builder, "test")) == 3


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.diag([2.0, 1, 1, 1]), "pose is not rigid"),
        (np.diag([-1.0, 1, 1, 1]), "pose is not rigid"),
        (np.zeros((4, 4)), "has no inverse"),
        (np.eye(3), "not on lines 2 to 5"),
    ],
    ids=["scaled", "mirrored", "zero", "other_format"],
)
def test_a_bad_camera_is_named(tmp_path, matrix, message):
    raw = write_raw(tmp_path / "raw")
    write_cam(raw / "Cameras" / "00000001_cam.txt", matrix, np.eye(3))
    builder = Builder(data_dir=tmp_path / "out")
    pair_sets.built(builder, raw, "train", max_bad="2")
    assert all(message in line["reason"] for line in pair_sets.bad_lines(builder))
    assert len(pair_sets.bad_lines(builder)) == 2  # Of each scan, for they share the cameras.


@pytest.mark.parametrize("gone", ["Rectified", "Cameras", "Depths_raw"])
def test_what_is_missing_is_named(tmp_path, gone):
    raw = write_raw(tmp_path / "raw")
    (raw / gone).rename(tmp_path / "elsewhere")
    with pytest.raises(BadInput, match=f"{gone}.* is missing.*'Manual download'.*/dtu/README"):
        write_dataset(Builder(data_dir=tmp_path / "out"), raw)
