import json
import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tests.tfds_builders.driving import check_kind, edit, read_built, reasons
from tests.tfds_builders.known_geometry import KnownView, image_file, known_view
from tfds_builders.build import build
from tfds_builders.scannetpp_iphone.depth_bin import read_frames
from tfds_builders.scannetpp_scenes import TEST, VALIDATION, splits
from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.camera import Camera
from vlm3_jax.geometry.intrinsics import rescale

VIDEO = Camera(fx=1400, fy=1410, cx=950, cy=720, width=1920, height=1440)
IMAGE, DEPTH = rescale(VIDEO, 128, 96), rescale(VIDEO, 256, 192)
SCENES = {"aaaaaaaaaa": "attic", "1c7a683c92": "barn"}  # One to train on, one of validation.
SPLITS = ["train", "validation"]
FRAMES = (0, 10)


def depth_map(room: str, number: int) -> np.ndarray:
    """Metres, a multiple of a millimetre; none in the first columns."""
    depth = np.rint(known_view(room, number // 10, DEPTH).depth * 1000) / 1000
    depth[:, :20] = 0
    return depth


def write_depths(path: Path, room: str, kind: str) -> None:
    depths = [depth_map(room, 10 * (number // 10)) for number in range(11)]
    if kind == "stream":
        data = np.stack(depths).astype("<f4").tobytes()
        path.write_bytes(deflated(data))
    else:
        frames = [lz4(depth) if kind == "lz4" else zlib_frame(depth) for depth in depths]
        path.write_bytes(b"".join(struct.pack("<I", len(x)) + x for x in frames))


def lz4(depth: np.ndarray) -> bytes:
    data = np.rint(depth * 1000).astype("<u2").tobytes()
    return pa.compress(data, codec="lz4_raw", asbytes=True)


def zlib_frame(depth: np.ndarray) -> bytes:
    return deflated(depth.astype("<f4").tobytes())


def deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(level=1, wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


def mask() -> np.ndarray:
    kept = np.full((96, 128), 255, np.uint8)
    kept[:40, 64:] = 0
    return kept


@pytest.fixture(scope="module")
def pristine(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("scannetpp")
    for scene, room in SCENES.items():
        phone = folder / "data" / scene / "iphone"
        (phone / "rgb").mkdir(parents=True)
        (phone / "rgb_masks").mkdir()
        poses = {}
        for number in (*FRAMES, 5):
            view = known_view(room, number // 10, IMAGE)
            name = f"frame_{number:06d}"
            (phone / f"rgb/{name}.jpg").write_bytes(view.file("JPEG"))
            (phone / f"rgb_masks/{name}.png").write_bytes(image_file(mask()))
            matrix = VIDEO.matrix.tolist()
            poses[name] = {"aligned_pose": view.c2w.tolist(), "intrinsic": matrix, "pose": [[9.0]]}
        (phone / "pose_intrinsic_imu.json").write_text(json.dumps(poses))
        write_depths(phone / "depth.bin", room, "lz4")
    return folder


@pytest.fixture
def raw(pristine, tmp_path) -> Path:
    return Path(shutil.copytree(pristine, tmp_path / "raw"))


def known_views() -> dict[str, KnownView]:
    return {
        f"scannetpp_iphone/{scene}/frame_{number:06d}": known_view(room, number // 10, IMAGE)
        for scene, room in SCENES.items()
        for number in FRAMES
    }


@pytest.mark.parametrize("kind", ["lz4", "zlib", "stream"])
def test_labels_lie_on_the_known_surface(raw, tmp_path, kind):
    for scene, room in SCENES.items():
        write_depths(raw / f"data/{scene}/iphone/depth.bin", room, kind)
    records = read_built(tmp_path / "out", raw, "scannetpp_iphone/corrected", SPLITS)
    known = known_views()
    assert set(records) == set(known)
    for key, record in records.items():
        view = known[key]
        assert record.image == view.file("JPEG") and len(record.depth_m) == 100
        np.testing.assert_allclose(record.camera.to_array(), IMAGE.to_array())
        np.testing.assert_allclose(record.c2w, view.c2w)
        error = view.label_error(record.camera, record.c2w, record.points_xy, record.z_m)
        assert error < 0.05, error
        check_kind(record)
        x, y = record.points_xy.T
        assert (x > 9).all() and not ((x > 64) & (y < 39)).any()
        assert (record.label_kind, record.scale_type) == ("euclid", "metric")
        assert record.split == SPLITS["1c7a683c92" in key]


def test_the_release_has_one_camera_and_its_own_range(raw, tmp_path):
    records = read_built(tmp_path / "out", raw, "scannetpp_iphone/release_faithful", SPLITS)
    without = 0
    for key, record in records.items():
        scene, frame = key.split("/")[1:]
        depth = depth_map(SCENES[scene], int(frame.split("_")[1]))
        f = 1427.4375 * 128 / 1920
        cx, cy = 959.5 / 15, 719.5 / 15
        np.testing.assert_allclose(record.camera.to_array(), [f, f, cx, cy, 128, 96])
        for (x, y), label in zip(record.points_xy, record.depth_m, strict=True):
            z = depth[int(y * 2), int(x * 2)]
            expected = np.sqrt(((x - cx) / f) ** 2 + ((y - cy) / f) ** 2 + z**2)
            assert label == pytest.approx(expected, rel=1e-5)
            without += z == 0
    assert without > 10


def test_splits_are_the_held_out_lists():
    assert len(TEST) == len(VALIDATION) == 30 and not TEST & VALIDATION
    scenes = ["fb893ffaf3", "aaaaaaaaaa", "1c7a683c92", "0e900bcc5c"]
    expected = {"test": ["0e900bcc5c", "fb893ffaf3"], "train": ["aaaaaaaaaa"]}
    assert splits(scenes) == expected | {"validation": ["1c7a683c92"]}


def test_golden_depths(tmp_path):
    write = np.full((192, 256), 1.0)
    path = tmp_path / "depth.bin"
    path.write_bytes(struct.pack("<I", len(lz4(write))) + lz4(write))  # 1000 is a metre.
    (frame,) = read_frames(path, [0])
    assert (frame.depth() == np.float32(1.0)).all()


def test_what_is_missing_is_named(raw, tmp_path):
    (raw / "data").rename(raw / "other")
    with pytest.raises(
        BadInput, match=r"iphone is missing; .* tfds_builders/scannetpp_iphone/READ"
    ):
        build("scannetpp_iphone/corrected", tmp_path / "out", raw)


def test_bad_files_cost_only_themselves(raw, tmp_path):
    phone = raw / "data/aaaaaaaaaa/iphone"
    (phone / "rgb/frame_000000.jpg").write_bytes(b"no image")
    (phone / "rgb_masks/frame_000010.png").write_bytes(image_file(mask()[:48]))
    (phone / "rgb/frame_000020.jpg").write_bytes((phone / "rgb/frame_000010.jpg").read_bytes())
    for scene, gone in (("bbbbbbbbbb", "rgb_masks"), ("cccccccccc", "depth.bin")):
        folder = shutil.copytree(phone, raw / f"data/{scene}/iphone")
        (folder / gone).rename(folder / "gone")

    def stretch(poses):
        poses["frame_000010"]["aligned_pose"][0][0] = 2.0

    edit(raw / "data/1c7a683c92/iphone/pose_intrinsic_imu.json", stretch)
    name = "scannetpp_iphone/corrected"
    with pytest.raises(BadInput, match="the split train has no usable record"):
        read_built(tmp_path / "out", raw, name, SPLITS, max_bad="99%")
    (phone / "rgb/frame_000000.jpg").write_bytes(known_view("attic", 0, IMAGE).file("JPEG"))
    records = read_built(tmp_path / "out", raw, name, SPLITS, max_bad="99%")
    bad = reasons(tmp_path / "out", name)
    assert {key.split("/", 1)[1] for key in records} == {
        "aaaaaaaaaa/frame_000000",
        "1c7a683c92/frame_000000",
    }
    assert "its mask is (128, 48)" in bad["aaaaaaaaaa/frame_000010"]
    assert "frame_000020 is damaged" in bad["aaaaaaaaaa/frame_000020"]
    assert "is not rigid" in bad["1c7a683c92/frame_000010"]
    assert "rgb_masks is missing" in bad["bbbbbbbbbb"]
    assert "depth.bin is missing" in bad["cccccccccc"]


def test_damaged_depths(tmp_path):
    path = tmp_path / "depth.bin"
    good = lz4(np.ones((192, 256)))
    frames = [b"xyz", good]
    path.write_bytes(b"".join(struct.pack("<I", len(x)) + x for x in frames))
    bad, fine, none = read_frames(path, [0, 1, 2])
    assert fine.depth().shape == (192, 256)
    with pytest.raises(BadInput, match=r"depth\.bin, frame 0 is damaged"):
        bad.depth()
    with pytest.raises(BadInput, match=r"depth\.bin, frame 2 is not in the file"):
        none.depth()
    path.write_bytes(deflated(np.ones((3, 192, 256), "<f4").tobytes())[:-300])
    with pytest.raises(BadInput, match=r"depth\.bin is damaged"):
        list(read_frames(path, range(5)))
