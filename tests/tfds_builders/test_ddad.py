import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.tfds_builders.driving import (
    check_labels,
    edit,
    into,
    is_hidden,
    read_built,
    reasons,
    rigid,
    ring,
    sweep,
    wxyz,
)
from tfds_builders.build import build
from tfds_builders.ddad.ddad_dataset_builder import CAMERAS
from vlm3_jax.errors import BadInput

SPLITS = ["train", "validation"]
SCENES = {"000000": ("attic", "0"), "000150": ("barn", "1")}
SAMPLES = 2


def pose_json(pose: np.ndarray) -> dict:
    rotation = dict(zip(("qw", "qx", "qy", "qz"), wxyz(pose), strict=True))
    return {"translation": dict(zip("xyz", pose[:3, 3], strict=True)), "rotation": rotation}


def write_scene(folder: Path, scene: str) -> None:
    data, samples = [], []
    for sample in range(SAMPLES):
        keys = []
        views = ring(SCENES[scene][0], sample, len(CAMERAS))
        for name, view in zip(CAMERAS, views, strict=True):
            file = f"rgb/{name}/{sample:03d}.png"
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_bytes(view.file())
            image = {"filename": file, "width": 96, "height": 64, "pose": pose_json(view.c2w)}
            data.append({"key": f"{name}{sample}", "id": {"name": name}, "datum": {"image": image}})
            keys.append(f"{name}{sample}")
        lidar = rigid(sample, metres=0.4)
        points = into(lidar, sweep(views))
        points = np.hstack([points, np.ones((len(points), 1))]).astype(np.float32)
        file = f"point_cloud/LIDAR/{sample:03d}.npz"
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(folder / file, data=points)
        cloud = {"filename": file, "pose": pose_json(lidar)}
        data.append({"key": f"L{sample}", "id": {"name": "LIDAR"}, "datum": {"point_cloud": cloud}})
        keys.append(f"L{sample}")
        samples.append({"datum_keys": keys, "calibration_key": "c0"})
    (folder / "scene_x.json").write_text(json.dumps({"data": data, "samples": samples}))
    names = [*CAMERAS, "LIDAR"]
    cameras = [view.camera for view in views]
    intrinsics = [{"fx": c.fx, "fy": c.fy, "cx": c.cx, "cy": c.cy} for c in cameras]
    (folder / "calibration").mkdir()
    (folder / "calibration" / "c0.json").write_text(
        json.dumps({"names": names, "intrinsics": [*intrinsics, {}]})
    )


@pytest.fixture(scope="module")
def pristine(tmp_path_factory) -> Path:
    folder, splits = tmp_path_factory.mktemp("ddad"), {}
    for scene, (_, split) in SCENES.items():
        write_scene(folder / scene, scene)
        splits.setdefault(split, {"filenames": []})["filenames"].append(f"{scene}/scene_x.json")
    (folder / "ddad.json").write_text(json.dumps({"scene_splits": splits}))
    return folder


@pytest.fixture
def raw(pristine, tmp_path) -> Path:
    return Path(shutil.copytree(pristine, tmp_path / "raw"))


def views_by_key() -> dict[str, object]:
    return {
        f"ddad/{scene}/{camera}_{sample:03d}": view
        for scene, (room, _) in SCENES.items()
        for sample in range(SAMPLES)
        for camera, view in zip(CAMERAS, ring(room, sample, len(CAMERAS)), strict=True)
    }


def test_labels_lie_on_the_known_surface(raw, tmp_path):
    records = read_built(tmp_path / "out", raw, "ddad/corrected", SPLITS)
    known = views_by_key()
    assert set(records) == set(known) and len(known) == 24
    for key, record in records.items():
        check_labels(record, known[key])
        np.testing.assert_allclose(record.c2w, known[key].c2w, atol=1e-9)
        assert (record.label_kind, record.scale_type) == ("z", "metric")
        assert record.split == SPLITS["000150" in key]


def test_the_release_cuts_pixels_and_keeps_the_last_point(raw, tmp_path):
    records = read_built(tmp_path / "out", raw, "ddad/release_faithful", SPLITS)
    known, hidden = views_by_key(), 0
    for key, record in records.items():
        view = known[key]
        # As TRI-ML/dgp's generate_depth_map has it.
        expected = np.zeros((64, 96))
        world = sweep([view])
        xyz = into(view.c2w, world)
        u, v = view.project(world).astype(int).T
        for column, row, z in zip(u, v, xyz[:, 2], strict=True):
            expected[row, column] = z
        column, row = record.points_xy.astype(int).T
        assert (record.points_xy == np.stack([column, row], -1)).all()
        np.testing.assert_allclose(record.depth_m, expected[row, column], rtol=1e-5)
        hidden += is_hidden(record, view).sum()
    assert hidden > 50


def test_what_is_missing_is_named(raw, tmp_path):
    (raw / "ddad.json").rename(raw / "other.json")
    with pytest.raises(BadInput, match=r"raw/ddad\.json is missing; .* tfds_builders/ddad/README"):
        build("ddad/corrected", tmp_path / "out", raw)


def test_bad_files_cost_only_themselves(raw, tmp_path):
    scene = raw / "000000"
    (scene / "rgb/CAMERA_05/000.png").write_bytes(b"no image")
    (scene / "rgb/CAMERA_06/000.png").unlink()
    cloud = scene / "point_cloud/LIDAR/001.npz"
    cloud.write_bytes(cloud.read_bytes()[:-200])

    def skew(content):
        content["intrinsics"][0]["skew"] = 0.1

    def stretch(content):
        content["data"][3]["datum"]["image"]["pose"]["rotation"]["qw"] = 7.0

    def leave(content):
        image = content["data"][4]["datum"]["image"]
        image["filename"] = f"../{image['filename']}"

    edit(raw / "000150/calibration/c0.json", skew)
    edit(raw / "000150/scene_x.json", leave)
    edit(raw / "000150/scene_x.json", stretch)
    records = read_built(tmp_path / "out", raw, "ddad/corrected", SPLITS, max_bad="90%")
    lost = {
        *(f"000000/{camera}_000" for camera in ("CAMERA_05", "CAMERA_06")),
        *("000150/CAMERA_01_000", "000150/CAMERA_01_001", "000150/CAMERA_07_000"),
        "000150/CAMERA_08_000",
    }
    bad = reasons(tmp_path / "out", "ddad/corrected")
    assert set(bad) == {*lost, "000000/000001"}
    assert len(records) == 24 - len(lost) - len(CAMERAS)
    assert "000.png does not decode" in bad["000000/CAMERA_05_000"]
    assert "000.png cannot be read" in bad["000000/CAMERA_06_000"]
    assert "001.npz is damaged" in bad["000000/000001"]
    assert "CAMERA_01 has skew" in bad["000150/CAMERA_01_000"]
    assert "the pose of CAMERA_07" in bad["000150/CAMERA_07_000"]
    assert "is no unit quaternion" in bad["000150/CAMERA_07_000"]
    assert "is no path inside" in bad["000150/CAMERA_08_000"]


@pytest.mark.parametrize("text", ["{", '{"data": [], "samples": [{"datum_keys": ["a"]}]}', "[]"])
def test_a_damaged_scene_costs_only_itself(raw, tmp_path, text):
    edit(raw / "ddad.json", lambda x: x["scene_splits"]["1"]["filenames"].append("2/scene_y.json"))
    (raw / "2").mkdir()
    (raw / "2/scene_y.json").write_text(text)
    records = read_built(tmp_path / "out", raw, "ddad/corrected", SPLITS, max_bad="1")
    assert len(records) == 24
    assert "2/scene_y.json is damaged" in reasons(tmp_path / "out", "ddad/corrected")["2"]


def test_a_structured_cloud(raw, tmp_path):
    path = raw / "000000/point_cloud/LIDAR/000.npz"
    points = np.load(path)["data"]
    fields = np.zeros((len(points), 1), [(axis, "<f4") for axis in ("X", "Y", "Z", "INTENSITY")])
    for i, axis in enumerate("XYZ"):
        fields[axis] = points[:, i : i + 1]
    np.savez(path, data=fields)
    records = read_built(tmp_path / "out", raw, "ddad/corrected", SPLITS)
    key = "ddad/000000/CAMERA_09_000"
    check_labels(records[key], views_by_key()[key])
