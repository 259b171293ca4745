import json
import shutil
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from tests.tfds_builders.driving import (
    check_labels,
    edit,
    into,
    is_hidden,
    moved,
    read_built,
    reasons,
    rigid,
    ring,
    sweep,
    wxyz,
)
from tests.tfds_builders.known_geometry import KnownView
from tfds_builders.build import build
from tfds_builders.nuscenes.nuscenes_dataset_builder import CAMERAS, LIDAR
from vlm3_jax.errors import BadInput

# The first scene is one of v1.0-mini's: no training scene.
ROOMS = {"scene-0061": "attic", "scene-0002": "barn", "scene-0003": "attic"}
SAMPLES = 2
LIDAR_TO_EGO = rigid(90, metres=0.3)
NUM_TRAIN = 2 * SAMPLES * len(CAMERAS)


@cache
def views_of(scene: str, sample: int) -> list[KnownView]:
    return ring(ROOMS[scene], sample, len(CAMERAS))


def ego_at(scene: str, sample: int, channel: str) -> np.ndarray:
    """Where the car was when a sensor measured; the sweep is later than all images."""
    start = views_of(scene, sample)[0].c2w @ rigid(7, metres=0.3)
    return moved(start, 0.3 if channel == LIDAR else 0.02 * CAMERAS.index(channel))


def placed(token: str, pose: np.ndarray) -> dict:
    return {"token": token, "rotation": wxyz(pose), "translation": pose[:3, 3].tolist()}


def write_version(root: Path, version: str, scenes: list[str]) -> None:
    tables: dict = {name: [] for name in ("scene", "sample", "sample_data", "ego_pose")}
    channels = [*CAMERAS, LIDAR]
    tables["sensor"] = [{"token": f"s-{name}", "channel": name} for name in channels]
    tables["calibrated_sensor"] = []
    for scene in scenes:
        tables["scene"].append({"token": f"t-{scene}", "name": scene})
        for sample in range(SAMPLES):
            token = f"{scene}-{sample}"
            tables["sample"].append({"token": token, "scene_token": f"t-{scene}"})
            views = views_of(scene, sample)
            for name, view in zip(CAMERAS, views, strict=True):
                ego = ego_at(scene, sample, name)
                add(root, tables, token, name, ego, view.file(), view)
            ego = ego_at(scene, sample, LIDAR)
            points = np.zeros((180 * len(CAMERAS), 5), np.float32)
            points[:, :3] = into(ego @ LIDAR_TO_EGO, sweep(views))
            add(root, tables, token, LIDAR, ego, points.tobytes())
    # A frame between key frames, whose file is not among the samples.
    tables["sample_data"].append({**tables["sample_data"][0], "token": "x", "is_key_frame": False})
    for name, rows in tables.items():
        path = root / version / f"{name}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(rows))


def add(root, tables, sample, channel, ego, data: bytes, view: KnownView | None = None) -> None:
    token = f"{sample}-{channel}"
    path = root / "samples" / channel / (f"{token}.bin" if channel == LIDAR else f"{token}.png")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    tables["ego_pose"].append(placed(f"e-{token}", ego))
    row = {"token": token, "sample_token": sample, "ego_pose_token": f"e-{token}"}
    row |= {"calibrated_sensor_token": f"c-{token}", "is_key_frame": True}
    row["filename"] = path.relative_to(root).as_posix()
    row |= {"width": 96, "height": 64} if view else {"width": 0, "height": 0}
    tables["sample_data"].append(row)
    mounted = np.linalg.inv(ego) @ view.c2w if view else LIDAR_TO_EGO
    matrix = view.camera.matrix.tolist() if view else []
    more = {"sensor_token": f"s-{channel}", "camera_intrinsic": matrix}
    tables["calibrated_sensor"].append(placed(f"c-{token}", mounted) | more)


@pytest.fixture(scope="module")
def pristine(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("nuscenes")
    write_version(folder, "v1.0-trainval", list(ROOMS))
    write_version(folder, "v1.0-mini", ["scene-0061"])
    return folder


@pytest.fixture
def raw(pristine, tmp_path) -> Path:
    return Path(shutil.copytree(pristine, tmp_path / "raw"))


def known_views() -> dict[str, KnownView]:
    return {
        f"nuscenes/{scene}/{scene}-{sample}-{name}": view
        for scene in ROOMS
        for sample in range(SAMPLES)
        for name, view in zip(CAMERAS, views_of(scene, sample), strict=True)
    }


def test_labels_lie_on_the_known_surface(raw, tmp_path):
    records = read_built(tmp_path / "out", raw, "nuscenes/corrected", ["train", "test"])
    known = known_views()
    # Of v1.0-mini the last 5 % of samples: here the last one.
    assert set(records) == {key for key in known if "0061-0" not in key}
    for key, record in records.items():
        view = known[key]
        check_labels(record, view)
        np.testing.assert_allclose(record.c2w, view.c2w, atol=1e-9)
        assert (record.label_kind, record.scale_type) == ("z", "metric")
        assert record.split == ("test" if "scene-0061" in key else "train")


def test_the_release_ignores_the_motion_and_cuts_pixels(raw, tmp_path):
    records = read_built(tmp_path / "out", raw, "nuscenes/release_faithful", ["train", "test"])
    known, off = known_views(), 0
    for key, record in records.items():
        view = known[key]
        scene, frame = key.split("/")[1:]
        sample, channel = int(frame.split("-")[2]), frame.split("-")[3]
        points = into(ego_at(scene, sample, LIDAR), sweep(views_of(scene, sample)))
        xyz = into(np.linalg.inv(ego_at(scene, sample, channel)) @ view.c2w, points)
        xyz = xyz[xyz[:, 2] > 0]
        u = np.floor(view.camera.fx * xyz[:, 0] / xyz[:, 2] + view.camera.cx)
        v = np.floor(view.camera.fy * xyz[:, 1] / xyz[:, 2] + view.camera.cy)
        for (x, y), z in zip(record.points_xy, record.depth_m, strict=True):
            here = (u == x) & (v == y)
            np.testing.assert_allclose(z, xyz[here, 2].min(), rtol=1e-5)
        off += view.label_error(record.camera, record.c2w, record.points_xy, record.z_m) > 2
    assert off > len(records) / 2
    assert set(records) == {key for key in known if "0061-0" not in key}


def test_nothing_hidden_is_labelled_without_motion(raw, tmp_path):
    records = read_built(tmp_path / "out", raw, "nuscenes/corrected", ["train"])
    known = known_views()
    assert len(records) == NUM_TRAIN
    assert not any(is_hidden(record, known[key]).any() for key, record in records.items())


@pytest.mark.parametrize("gone", ["samples", "v1.0-trainval/ego_pose.json"])
def test_what_is_missing_is_named(raw, tmp_path, gone):
    (raw / gone).rename(raw / "gone")
    with pytest.raises(BadInput, match=f"raw/{gone} is missing; .* tfds_builders/nuscenes/README"):
        build("nuscenes/corrected", tmp_path / "out", raw)


def test_one_version_is_enough(raw, tmp_path):
    (raw / "v1.0-trainval").rename(raw / "gone")
    records = read_built(tmp_path / "out", raw, "nuscenes/corrected", ["test"])
    assert len(records) == len(CAMERAS)
    (raw / "v1.0-mini").rename(raw / "v1.0-other")
    with pytest.raises(BadInput, match=r"v1\.0-trainval is missing"):
        build("nuscenes/corrected", tmp_path / "out2", raw)


def test_bad_files_cost_only_themselves(raw, tmp_path):
    (raw / "samples/CAM_BACK/scene-0002-0-CAM_BACK.png").write_bytes(b"no image")
    (raw / "samples/CAM_BACK/scene-0002-1-CAM_BACK.png").unlink()
    path = raw / f"samples/{LIDAR}/scene-0003-0-{LIDAR}.bin"
    path.write_bytes(path.read_bytes()[:-3])

    def stretch(rows):
        row = next(x for x in rows if x["token"] == "e-scene-0003-1-CAM_FRONT")
        row["rotation"] = [2, 0, 0, 0]

    edit(raw / "v1.0-trainval/ego_pose.json", stretch)

    def leave(rows):
        row = next(x for x in rows if x["token"] == "scene-0003-1-CAM_BACK")
        row["filename"] = f"../{row['filename']}"

    edit(raw / "v1.0-trainval/sample_data.json", leave)

    def lose(rows):
        del rows[1]["scene_token"]

    edit(raw / "v1.0-trainval/sample.json", lose)
    records = read_built(tmp_path / "out", raw, "nuscenes/corrected", ["train"], max_bad="90%")
    bad = reasons(tmp_path / "out", "nuscenes/corrected")
    fronts = ("scene-0002/scene-0002-0-CAM_BACK", "scene-0002/scene-0002-1-CAM_BACK")
    turned, outside = (f"scene-0003/scene-0003-1-CAM_{side}" for side in ("FRONT", "BACK"))
    cut = "scene-0003/scene-0003-0"
    assert set(bad) == {*fronts, turned, outside, cut, "scene-0061-1"}
    assert len(records) == NUM_TRAIN - 4 - len(CAMERAS)
    assert "does not decode" in bad[fronts[0]] and "cannot be read" in bad[fronts[1]]
    assert "is no whole number of points" in bad[cut]
    assert "is no unit quaternion" in bad[turned]
    assert "is no path inside" in bad[outside]
    assert "sample scene-0061-1 is damaged" in bad["scene-0061-1"]


def test_a_damaged_table_is_named(raw, tmp_path):
    (raw / "v1.0-trainval/sample.json").write_text('[{"token": "a"}, {}]')
    with pytest.raises(BadInput, match=r"v1\.0-trainval/sample\.json is damaged"):
        build("nuscenes/corrected", tmp_path / "out", raw)
