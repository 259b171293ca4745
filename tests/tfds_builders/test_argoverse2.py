import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.feather as feather
import pytest

from tests.tfds_builders.driving import (
    check_kind,
    check_labels,
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
from tfds_builders.argoverse2.log import CAMERAS, read_points
from tfds_builders.build import build
from vlm3_jax.errors import BadInput

ROOMS = {"log-a": ("attic", "train"), "log-b": ("barn", "val")}
SPLITS = ["train", "validation"]
SWEEPS = (1_000_000_000, 1_100_000_000)
SENSOR_COLUMNS = ("sensor_name", "qw", "qx", "qy", "qz", "tx_m", "ty_m", "tz_m")


def mounting(number: int) -> np.ndarray:
    return rigid(number, metres=0.3)


def times(number: int) -> list[int]:
    """Of a camera's images: one after, one before, one too late for a sweep."""
    return [SWEEPS[0] + 10_000_000 + number, SWEEPS[1] - 20_000_000 + number]


def known_views() -> dict[str, KnownView]:
    return {
        f"argoverse2/{log}/{camera}_{times(i)[sample]}": ring(room, sample, len(CAMERAS))[i]
        for log, (room, _) in ROOMS.items()
        for sample in range(2)
        for i, camera in enumerate(CAMERAS)
    }


def write_table(path: Path, columns: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    feather.write_feather(pa.table(columns), path)


def write_poses(path: Path, first: str, poses: dict) -> None:
    rows = [[key, *wxyz(pose), *pose[:3, 3]] for key, pose in poses.items()]
    write_table(path, dict(zip((first, *SENSOR_COLUMNS[1:]), zip(*rows, strict=True), strict=True)))


def write_log(log: Path, room: str) -> None:
    mountings = {name: mounting(i) for i, name in enumerate(CAMERAS)}
    write_poses(log / "calibration/egovehicle_SE3_sensor.feather", "sensor_name", mountings)
    cameras = [view.camera for view in ring(room, 0, len(CAMERAS))]
    columns = {"sensor_name": list(CAMERAS)}
    for name in ("fx", "fy", "cx", "cy", "width", "height"):
        columns[f"{name}_px"] = [getattr(camera, name) for camera in cameras]
    write_table(log / "calibration/intrinsics.feather", columns | {"k1": [0.0] * len(CAMERAS)})
    car = {}
    for sample, time in enumerate(SWEEPS):
        views = ring(room, sample, len(CAMERAS))
        for i, (name, view) in enumerate(zip(CAMERAS, views, strict=True)):
            car[times(i)[sample]] = view.c2w @ np.linalg.inv(mountings[name])
            path = log / f"sensors/cameras/{name}/{times(i)[sample]}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(view.file("JPEG"))
        car[time] = moved(views[0].c2w @ rigid(50, metres=0.3), 0.2)
        points = into(car[time], sweep(views)).astype(np.float16)  # As the raw data have them.
        axes = {axis: points[:, i] for i, axis in enumerate("xyz")}
        write_table(log / f"sensors/lidar/{time}.feather", axes)
    write_poses(log / "city_SE3_egovehicle.feather", "timestamp_ns", car)


@pytest.fixture(scope="module")
def pristine(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("argoverse2")
    for log, (room, split) in ROOMS.items():
        write_log(folder / split / log, room)
    return folder


@pytest.fixture
def raw(pristine, tmp_path) -> Path:
    return Path(shutil.copytree(pristine, tmp_path / "raw"))


def test_labels_lie_on_the_known_surface(raw, tmp_path):
    records = read_built(tmp_path / "out", raw, "argoverse2/corrected", SPLITS)
    known = known_views()
    assert set(records) == set(known) and len(known) == 28
    for key, record in records.items():
        check_labels(record, known[key], within=0.4)  # Half floats of some metres.
        check_kind(record)
        np.testing.assert_allclose(record.c2w, known[key].c2w, atol=1e-9)
        assert (record.label_kind, record.scale_type) == ("euclid", "metric")
        assert record.split == ROOMS[key.split("/")[1]][1].replace("val", "validation")


def test_the_release_rounds_pixels_and_keeps_hidden_points(raw, tmp_path):
    records = read_built(tmp_path / "out", raw, "argoverse2/release_faithful", SPLITS)
    known, hidden = known_views(), 0
    for key, record in records.items():
        view = known[key]
        assert (record.points_xy == np.rint(record.points_xy)).all()
        world = sweep([view])
        pixels = np.rint(view.project(world))
        distances = np.linalg.norm(world - view.c2w[:3, 3], axis=-1)
        for xy, depth in zip(record.points_xy, record.depth_m, strict=True):
            # A half float may round to the pixel beside.
            near = np.abs(pixels - xy).max(-1) <= 1
            assert np.abs(distances[near] / depth - 1).min() < 5e-3
        hidden += is_hidden(record, view).sum()
    assert hidden > 50


def test_what_is_missing_is_named(raw, tmp_path):
    for split in ("train", "val"):
        (raw / split).rename(raw / f"other-{split}")
    with pytest.raises(BadInput, match=r"raw/train is missing; .* tfds_builders/argoverse2/README"):
        build("argoverse2/corrected", tmp_path / "out", raw)


def test_bad_files_cost_only_themselves(raw, tmp_path):
    a, b = raw / "train/log-a", raw / "val/log-b"
    images = a / "sensors/cameras"
    (images / CAMERAS[0] / f"{times(0)[0]}.jpg").write_bytes(b"no image")
    late = SWEEPS[1] + 52_000_000
    (images / CAMERAS[1] / f"{late}.jpg").write_bytes(b"not opened")
    unposed = SWEEPS[1] + 30_000_000
    (images / CAMERAS[2] / f"{unposed}.jpg").write_bytes(b"not opened")
    (b / f"sensors/lidar/{SWEEPS[0]}.feather").write_bytes(b"no feather")
    (raw / "val/log-c").mkdir()
    (raw / "val/log-d/sensors/lidar").mkdir(parents=True)
    (raw / "val/log-d/sensors/lidar/now.feather").touch()
    records = read_built(tmp_path / "out", raw, "argoverse2/corrected", SPLITS, max_bad="90%")
    bad = reasons(tmp_path / "out", "argoverse2/corrected")
    first, second = f"log-a/{CAMERAS[0]}_{times(0)[0]}", f"log-a/{CAMERAS[1]}_{late}"
    third, cut = f"log-a/{CAMERAS[2]}_{unposed}", f"log-b/{SWEEPS[0]}"
    assert set(bad) == {first, second, third, cut, "log-c", "log-d"}
    assert len(records) == 28 - 1 - len(CAMERAS)
    assert "does not decode" in bad[first]
    assert "no sweep is within 51 ms" in bad[second]
    assert "the car's pose at its time is not there" in bad[third]
    assert f"{SWEEPS[0]}.feather is damaged" in bad[cut]
    assert "log-c/sensors is missing" in bad["log-c"]
    assert "is damaged or of another format" in bad["log-d"]


@pytest.mark.parametrize(
    ("file", "columns", "message"),
    [
        ("calibration/intrinsics.feather", {"sensor_name": ["a"]}, "intrinsics.feather is damaged"),
        ("city_SE3_egovehicle.feather", {"a": [1]}, "egovehicle.feather is damaged"),
    ],
)
def test_another_table_costs_its_log(raw, tmp_path, file, columns, message):
    write_table(raw / "train/log-a" / file, columns)
    with pytest.raises(BadInput, match="the split train has no usable record: .*" + message):
        read_built(tmp_path / "out", raw, "argoverse2/corrected", SPLITS, max_bad="90%")


def test_a_pose_that_is_not_rigid_is_named(raw, tmp_path):
    path = raw / "train/log-a/calibration/egovehicle_SE3_sensor.feather"
    columns = feather.read_table(path).to_pydict()
    columns["qx"][3] = 5.0
    write_table(path, columns)
    read_built(tmp_path / "out", raw, "argoverse2/corrected", SPLITS, max_bad="2")
    bad = reasons(tmp_path / "out", "argoverse2/corrected")
    assert {key.split("_1")[0] for key in bad} == {f"log-a/{CAMERAS[3]}"}
    assert all("is no unit quaternion" in reason for reason in bad.values())


def test_points_are_read_as_they_are(raw):
    points = read_points(raw / "train/log-a", SWEEPS[0])
    assert points.shape == (180 * len(CAMERAS), 3) and points.dtype == np.float64
