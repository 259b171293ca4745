"""Taskonomy and HM3D, which share their reading."""

import json
import math
import shutil

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.tfds_builders.known_geometry import SCENES, KnownView, image_file, known_view
from tfds_builders import omnidata
from tfds_builders.build import build
from tfds_builders.items import MaxBad
from vlm3_jax.data.sources import open_source
from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.camera import Camera, euclid_from_z

SPLITS = {"taskonomy": "train_val_test_fullplus.csv", "hm3d": "train_val_test_hm3d.csv"}
SUFFIXES = {
    "rgb": "rgb.png",
    "depth_euclidean": "depth_euclidean.png",
    "mask_valid": "depth_zbuffer.png",
    "point_info": "point_info.json",
}
FOVS = 1.0, 1.3
SIZE = 64


def camera(fov):
    focal = SIZE / 2 / math.tan(fov / 2)
    return Camera(focal, focal, 31.5, 31.5, SIZE, SIZE)


def blender_euler(c2w) -> list[float]:
    """Angles of Blender's XYZ order, R = Rz Ry Rx, of a camera that looks along -z, y up."""
    r = c2w[:3, :3] @ np.diag([1, -1, -1])
    angles = [math.atan2(r[2, 1], r[2, 2]), -math.asin(r[2, 0]), math.atan2(r[1, 0], r[0, 0])]
    return angles


def write_raw(folder, name) -> dict[str, KnownView]:
    """The raw layout; stripes are masked, invalid and zero. attic is for training."""
    views = {}
    for scene in SCENES:
        for task in SUFFIXES:
            (folder / task / name / scene).mkdir(parents=True)
        for number in range(3):
            fov = FOVS[number % 2]
            view = known_view(scene, number, camera(fov))
            rows, columns = np.mgrid[:SIZE, :SIZE]
            xy = np.stack([columns, rows], -1)
            steps = np.rint(euclid_from_z(view.camera, xy, view.depth) * 512).astype(np.uint16)
            steps[:5], steps[5:10] = 0, 65535
            mask = np.full((SIZE, SIZE), 255, np.uint8)
            mask[:, 20:30] = 0
            info = {
                "camera_location": view.c2w[:3, 3].tolist(),
                "camera_rotation_final": blender_euler(view.c2w),
                "field_of_view_rads": fov,
                "resolution": SIZE,
            }
            files = {
                "rgb": view.file(),
                "depth_euclidean": image_file(steps),
                "mask_valid": image_file(mask),
                "point_info": json.dumps(info).encode(),
            }
            for task, data in files.items():
                path = (
                    folder / task / name / scene / f"point_{number}_view_2_domain_{SUFFIXES[task]}"
                )
                path.write_bytes(data)
            views[f"{scene}/point_{number}_view_2"] = view
    table = "id,train,val,test\r\nattic,1,0,0\r\nbarn,0,1,0\r\ncellar,0,0,1\r\n"
    (folder / SPLITS[name]).write_bytes(table.encode())
    return views


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("omnidata")
    return folder, write_raw(folder, "taskonomy")


@pytest.fixture
def views(written, tmp_path):
    """The views of a raw Taskonomy folder tmp_path / "raw" that a test may spoil."""
    shutil.copytree(written[0], tmp_path / "raw")
    return written[1]


def read(out, split, name="taskonomy"):
    return {"/".join(r.key.split("/")[1:]): r for r in open_source(out, name, split)}


@pytest.mark.parametrize("name", SPLITS)
def test_reads_back_what_the_cameras_saw(tmp_path, name):
    views = write_raw(tmp_path / "raw", name)
    build(name, tmp_path / "out", tmp_path / "raw")
    train, validation = (read(tmp_path / "out", split, name) for split in ("train", "validation"))
    assert {key.split("/")[0] for key in train} == {"attic"}
    assert set(train | validation) == set(views)
    for key, record in (train | validation).items():
        view = views[key]
        assert record.key == f"{name}/{key}" and record.image == view.file()
        np.testing.assert_allclose(record.camera.to_array(), view.camera.to_array())
        np.testing.assert_allclose(record.c2w, view.c2w, atol=1e-12)
        assert (record.label_kind, record.scale_type) == ("euclid", "metric")
        x, y = record.points_xy.T
        assert len(x) == 100 and y.min() >= 10 and not ((x >= 20) & (x < 30)).any()
        true = euclid_from_z(view.camera, record.points_xy, view.z_at(record.points_xy))
        assert np.abs(record.depth_m - true).max() < 0.5 / 512 + 1e-6
        assert view.label_error(record.camera, record.c2w, record.points_xy, record.z_m) < 0.5


def test_512_steps_are_a_metre(views, tmp_path):
    path = tmp_path / "raw/depth_euclidean/taskonomy/barn/point_1_view_2_domain_depth_euclidean.png"
    path.write_bytes(image_file(np.full((SIZE, SIZE), 512, np.uint16)))
    build("taskonomy", tmp_path / "out", tmp_path / "raw")
    assert set(read(tmp_path / "out", "validation")["barn/point_1_view_2"].depth_m) == {1.0}


def test_the_pose_is_that_of_another_reader():
    # A public reader goes by way of PyTorch3D (x left, y up; rows times matrices): its world is
    # ours with axes (-x, z, y).
    rng = np.random.default_rng(0)
    for _ in range(5):
        (ex, ey, ez), location, point = rng.uniform(-1.5, 1.5, (3, 3))
        x, z, y = (
            Rotation.from_rotvec(angle * axis).as_matrix()
            for angle, axis in zip((ex - math.pi / 2, -ey, -ez), np.eye(3)[[0, 2, 1]], strict=True)
        )
        rotation = x @ z @ y
        centre = np.array([-location[0], location[2], location[1]])
        theirs = np.array([-point[0], point[2], point[1]])
        in_pytorch3d = theirs @ rotation.T - rotation @ centre
        c2w = omnidata._from_blender(location, [ex, ey, ez])
        np.testing.assert_allclose(
            (point - c2w[:3, 3]) @ c2w[:3, :3], in_pytorch3d * [-1, -1, 1], atol=1e-12
        )


def test_a_building_is_cut_into_items_of_all_its_views(views, tmp_path, monkeypatch):
    monkeypatch.setattr(omnidata, "_VIEWS_PER_ITEM", 2)
    build("taskonomy", tmp_path / "out", tmp_path / "raw")
    items = omnidata.Component("taskonomy", SPLITS["taskonomy"]).items(tmp_path / "raw")
    assert [(item.key, item.records) for item in items["train"]] == [("attic/0", 2), ("attic/2", 1)]
    found = read(tmp_path / "out", "train") | read(tmp_path / "out", "validation")
    assert set(found) == set(views)


@pytest.mark.parametrize("part", [SPLITS["taskonomy"], "mask_valid/taskonomy"])
def test_a_missing_part_is_named(views, tmp_path, part):
    (tmp_path / "raw" / part).rename(tmp_path / "elsewhere")
    with pytest.raises(BadInput, match=f"{part} is missing.*tfds_builders/taskonomy/README.md"):
        build("taskonomy", tmp_path / "out", tmp_path / "raw")


def info(**changes):
    def change(data):
        values = json.loads(data) | changes
        return json.dumps({k: v for k, v in values.items() if v is not None}).encode()

    return change


@pytest.mark.parametrize(
    ("task", "change", "message"),
    [
        ("rgb", lambda data: data[:200], "does not decode"),
        ("depth_euclidean", lambda data: data[:50], "does not decode"),
        ("depth_euclidean", None, "has no file of depth_euclidean"),
        (
            "depth_euclidean",
            lambda data: image_file(np.full((64, 64), 65535, np.uint16)),
            "no depth",
        ),
        ("mask_valid", lambda data: image_file(np.ones((64, 60), np.uint8)), "size"),
        ("mask_valid", None, "has no file of mask_valid"),
        ("point_info", lambda data: b"{", "JSONDecodeError"),
        ("point_info", lambda data: b"[1]", "has no field_of_view_rads"),
        ("point_info", info(camera_location=None), "has no field_of_view_rads, camera_location"),
        ("point_info", info(camera_rotation_final=[1, 2]), "has no field_of_view_rads"),
        ("point_info", info(field_of_view_rads=0), "the field of view is 0 degrees"),
        ("point_info", info(camera_location=[0, 0, math.nan]), "its pose is no 4x4 matrix"),
    ],
    ids=range(12),
)
def test_a_corrupt_file_costs_only_itself(views, tmp_path, task, change, message):
    name = f"point_1_view_2_domain_{SUFFIXES[task]}"
    path = tmp_path / "raw" / task / "taskonomy" / "barn" / name
    path.write_bytes(change(path.read_bytes())) if change else path.unlink()
    folder, _ = build("taskonomy", tmp_path / "out", tmp_path / "raw", max_bad=MaxBad(number=1))
    left = {f"barn/point_{number}_view_2" for number in (0, 2)}
    assert set(read(tmp_path / "out", "validation")) == left
    report = folder.with_name("1.0.0.bad.jsonl").read_text()
    assert message in report and "barn/point_1_view_2" in report


@pytest.mark.parametrize("text", ["building,train\nattic,1", "id,train,val,test\nattic,yes,0,0"])
def test_a_table_of_another_format_is_named(views, tmp_path, text):
    (tmp_path / "raw" / SPLITS["taskonomy"]).write_text(text)
    with pytest.raises(BadInput, match=r"fullplus\.csv is no table id, train, val, test"):
        build("taskonomy", tmp_path / "out", tmp_path / "raw")


def test_a_building_without_images_is_reported(views, tmp_path):
    (tmp_path / "raw/rgb/taskonomy/cellar").mkdir()
    folder, _ = build("taskonomy", tmp_path / "out", tmp_path / "raw", max_bad=MaxBad(number=1))
    assert "cellar holds no images" in folder.with_name("1.0.0.bad.jsonl").read_text()
