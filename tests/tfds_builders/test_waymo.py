import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.spatial.transform import Rotation

from tests.tfds_builders.driving import BEHIND, check_kind, moved, read_built, reasons, rigid
from tests.tfds_builders.known_geometry import (
    KnownView,
    _cast,
    _colour,
    image_file,
    known_view,
    to_world,
)
from tfds_builders.build import build
from tfds_builders.waymo.range_image import uniform_inclinations
from tfds_builders.waymo.segment import CAMERAS
from vlm3_jax.data.images import decode
from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.camera import Camera

SEGMENTS = {"segment-a": ("attic", "training"), "segment-b": ("barn", "validation")}
SPLITS = ["train", "validation"]
TIMES = (1000, 1100)
NUMBERS = tuple(CAMERAS)
LENS = {"k1": 0.06, "k2": -0.09, "p1": 0.002, "p2": -0.001, "k3": 0.01}
RAW_CENTRE = 45.0, 34.0
LIDAR_TO_VEHICLE = rigid(8, metres=0.5)
INCLINATIONS = np.linspace(-0.3, 0.05, 10)
TO_WAYMO_AXES = np.array([[0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1.0]])
POINTS, HIDDEN = 160, 20


def pinhole(number: int) -> Camera:
    return Camera(110.0 + number, 112.0, 48.0, 32.0, 96, 64)


def brown(x, y):
    """OpenCV's model, as its documentation has it."""
    k1, k2, p1, p2, k3 = LENS.values()
    r2 = x**2 + y**2
    radial = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3
    return (
        x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x**2),
        y * radial + p1 * (r2 + 2 * y**2) + 2 * p2 * x * y,
    )


def straight(xy: np.ndarray, number: int) -> np.ndarray:
    """Pixels of the undistorted image that raw pixels [N, 2] belong to."""
    camera = pinhole(number)
    bent = (xy - RAW_CENTRE) / [camera.fx, camera.fy]
    x, y = bent.T
    for _ in range(50):
        there = brown(x, y)
        x, y = x + bent[:, 0] - there[0], y + bent[:, 1] - there[1]
    return np.stack([x * camera.fx + camera.cx, y * camera.fy + camera.cy], -1)


def car(room: str, frame: int) -> np.ndarray:
    return moved(known_view(room, 0).c2w @ rigid(9, metres=0.3), 0.2 * frame)


def to_vehicle(room: str, number: int) -> np.ndarray:
    view = known_view(room, 0, pinhole(number), 72 * number)
    return np.linalg.inv(car(room, 0)) @ view.c2w


def view_of(room: str, frame: int, number: int) -> KnownView:
    camera = pinhole(number)
    c2w = car(room, frame) @ to_vehicle(room, number)
    y, x = np.mgrid[:64, :96].reshape(2, -1).astype(float)
    z, world = _cast(room, camera, c2w, np.stack([x, y], -1))
    image = _colour(world).reshape(64, 96, 3)
    return KnownView(room, str(frame), camera, c2w, image, z.reshape(64, 96))


def raw_image(view: KnownView, number: int) -> np.ndarray:
    y, x = np.mgrid[:64, :96].reshape(2, -1).astype(float)
    xy = straight(np.stack([x, y], -1), number)
    return _colour(_cast(view.scene, view.camera, view.c2w, xy)[1]).reshape(64, 96, 3)


def measured(view: KnownView, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Raw pixels [N, 2] and world points, the first of them hidden behind others at the end."""
    rng = np.random.default_rng(number)
    places = rng.choice(64 * 96, POINTS, replace=False)
    xy = np.stack([places % 96, places // 96], -1)
    xy = np.vstack([xy[:HIDDEN], xy])
    on = straight(xy, number)
    z = view.z_at(on)
    z[:HIDDEN] *= BEHIND
    return xy, to_world(view.camera, view.c2w, on, z)


def lidar_frame(room: str, frame: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Range image, camera projections and pixel poses that give the points of all cameras."""
    xy, world, names = [], [], []
    for number in NUMBERS:
        pixels, points = measured(view_of(room, frame, number), number)
        xy, world = [*xy, *pixels], [*world, *points]
        names += [number] * len(pixels)
    height, width = len(INCLINATIONS), len(xy) // len(INCLINATIONS) + 3
    ranges = np.full((height, width, 4), -1.0)
    projections = np.zeros((height, width, 6), np.int32)
    poses = np.zeros((height, width, 6))
    rng = np.random.default_rng(frame)
    yaw = np.arctan2(LIDAR_TO_VEHICLE[1, 0], LIDAR_TO_VEHICLE[0, 0])
    for i, (pixel, point, name) in enumerate(zip(xy, world, names, strict=True)):
        row, column = i % height, i // height
        angle = INCLINATIONS[height - 1 - row]
        turn = ((width - column - 0.5) / width * 2 - 1) * np.pi - yaw
        reach = rng.uniform(2, 9)
        ray = [np.cos(turn) * np.cos(angle), np.sin(turn) * np.cos(angle), np.sin(angle)]
        place = LIDAR_TO_VEHICLE @ [*(reach * np.array(ray)), 1]
        roll, pitch, heading = rng.uniform(-0.5, 0.5, 3)
        rotation = Rotation.from_euler("ZYX", [heading, pitch, roll]).as_matrix()
        ranges[row, column, 0] = reach
        poses[row, column] = [roll, pitch, heading, *(point - rotation @ place[:3])]
        # A point can be on two cameras' images: each half of the six numbers is one.
        first = [name, *pixel]
        projections[row, column] = [*first, 0, 0, 0] if i % 2 else [0, 0, 0, *first]
    return ranges, projections, poses


def write(split: Path, component: str, segment: str, rows: list[dict]) -> None:
    path = split / component / f"{segment}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=3)


def array_row(kind: str, time: int, laser: int, values: np.ndarray) -> dict:
    column = f"[{kind}].range_image_return1"
    key = {"key.frame_timestamp_micros": time, "key.laser_name": laser}
    flat = values.astype(np.float32 if values.dtype == float else np.int32).ravel()
    return key | {f"{column}.values": flat, f"{column}.shape": list(values.shape)}


def write_segment(split: Path, segment: str, room: str) -> None:
    part = "[CameraCalibrationComponent]"
    calibrations = []
    for number in NUMBERS:
        camera = pinhole(number)
        inner = {"f_u": camera.fx, "f_v": camera.fy, "c_u": RAW_CENTRE[0], "c_v": RAW_CENTRE[1]}
        row = {f"{part}.intrinsic.{name}": value for name, value in (inner | LENS).items()}
        pose = to_vehicle(room, number) @ np.linalg.inv(TO_WAYMO_AXES)
        row |= {f"{part}.extrinsic.transform": pose.ravel().tolist()}
        row |= {f"{part}.width": 96, f"{part}.height": 64, "key.camera_name": number}
        calibrations.append(row)
    write(split, "camera_calibration", segment, calibrations)
    part = "[LiDARCalibrationComponent]"
    lidars = []
    for laser in (2, 1):
        pose = LIDAR_TO_VEHICLE if laser == 1 else np.eye(4)
        row = {"key.laser_name": laser, f"{part}.extrinsic.transform": pose.ravel().tolist()}
        angles = INCLINATIONS.tolist() if laser == 1 else None
        bounds = {"min": -1.0, "max": 1.0, "values": angles}
        row |= {f"{part}.beam_inclination.{name}": value for name, value in bounds.items()}
        lidars.append(row)
    write(split, "lidar_calibration", segment, lidars)
    kinds = ("LiDARComponent", "LiDARCameraProjectionComponent", "LiDARPoseComponent")
    files: list[list[dict]] = [[], [], []]
    for frame, time in enumerate(TIMES):
        other = np.full((2, 3, 4), 7.0)  # Of a side lidar, which has no poses.
        files[0].append(array_row(kinds[0], time, 2, other))
        for rows, kind, values in zip(files, kinds, lidar_frame(room, frame), strict=True):
            rows.append(array_row(kind, time, 1, values))
    files[1].reverse()  # Rows of another order.
    for component, rows in zip(
        ("lidar", "lidar_camera_projection", "lidar_pose"), files, strict=True
    ):
        write(split, component, segment, rows)
    poses, images = [], []
    for frame, time in enumerate(TIMES):
        key = {"key.frame_timestamp_micros": time}
        column = "[VehiclePoseComponent].world_from_vehicle.transform"
        poses.append(key | {column: car(room, frame).ravel().tolist()})
        for number in NUMBERS:
            data = image_file(raw_image(view_of(room, frame, number), number))
            name = {"key.camera_name": number}
            images.append(key | name | {"[CameraImageComponent].image": data})
    write(split, "vehicle_pose", segment, poses)
    write(split, "camera_image", segment, images)


@pytest.fixture(scope="module")
def pristine(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("waymo")
    for segment, (room, split) in SEGMENTS.items():
        write_segment(folder / split, segment, room)
    return folder


@pytest.fixture
def raw(pristine, tmp_path) -> Path:
    return Path(shutil.copytree(pristine, tmp_path / "raw"))


@pytest.fixture(scope="module")
def known() -> dict[str, tuple[KnownView, int]]:
    return {
        f"waymo/{segment}/{time}_{CAMERAS[number]}": (view_of(room, frame, number), number)
        for segment, (room, _) in SEGMENTS.items()
        for frame, time in enumerate(TIMES)
        for number in NUMBERS
    }


def test_labels_lie_on_the_known_surface(raw, tmp_path, known):
    records = read_built(tmp_path / "out", raw, "waymo/corrected", SPLITS)
    assert set(records) == set(known) and len(known) == 20
    for key, record in records.items():
        view, _ = known[key]
        assert len(record.depth_m) == 100
        np.testing.assert_allclose(record.camera.to_array(), view.camera.to_array())
        np.testing.assert_allclose(record.c2w, view.c2w, atol=1e-9)
        error = view.label_error(record.camera, record.c2w, record.points_xy, record.z_m)
        assert error < 0.05, error
        check_kind(record)
        assert (record.label_kind, record.scale_type) == ("euclid", "metric")
        assert record.split == ("train" if "segment-a" in key else "validation")


def test_images_are_undistorted(raw, tmp_path, known):
    records = read_built(tmp_path / "out", raw, "waymo/corrected", SPLITS)
    for key, record in records.items():
        view, number = known[key]
        image = decode(record.image, key)[5:-5, 5:-5].astype(int)
        assert np.abs(image - view.image[5:-5, 5:-5]).mean() < 3
        assert np.abs(image - raw_image(view, number)[5:-5, 5:-5]).mean() > 5


def test_the_release_carries_points_the_wrong_way(raw, tmp_path, known):
    records = read_built(tmp_path / "out", raw, "waymo/release_faithful", SPLITS)
    off = []
    for key, record in records.items():
        view, number = known[key]
        camera = view.camera
        xy, world = (part[HIDDEN:] for part in measured(view, number))
        bent = brown((xy[:, 0] - camera.cx) / camera.fx, (xy[:, 1] - camera.cy) / camera.fy)
        x = np.trunc(bent[0] * camera.fx + RAW_CENTRE[0])
        y = np.trunc(bent[1] * camera.fy + RAW_CENTRE[1])
        distance = np.linalg.norm(world - view.c2w[:3, 3], axis=-1)
        for point, label in zip(record.points_xy, record.depth_m, strict=True):
            here = (x == point[0]) & (y == point[1])
            assert np.abs(distance[here] / label - 1).min() < 1e-5
        off.append(view.label_error(camera, record.c2w, record.points_xy, record.z_m))
    assert min(off) > 2


def test_uniform_inclinations():
    np.testing.assert_allclose(uniform_inclinations(-0.2, 0.2, 4), [-0.15, -0.05, 0.05, 0.15])


@pytest.mark.parametrize("gone", ["training/lidar_pose", "validation/camera_image"])
def test_what_is_missing_is_named(raw, tmp_path, gone):
    (raw / gone).rename(raw / "gone")
    with pytest.raises(BadInput, match=f"{gone} is missing; .* tfds_builders/waymo/README"):
        build("waymo/corrected", tmp_path / "out", raw)


def change(path: Path, edit) -> None:
    rows = pq.read_table(path).to_pylist()
    edit(rows)
    pq.write_table(pa.Table.from_pylist(rows), path)


def test_bad_rows_cost_only_themselves(raw, tmp_path):
    name, split = "waymo/corrected", raw / "training"

    def spoil(rows):
        rows[0]["[CameraImageComponent].image"] = b"no image"
        rows[1]["key.frame_timestamp_micros"] = 5
        rows[2]["key.camera_name"] = 9

    change(split / "camera_image/segment-a.parquet", spoil)

    def shorten(rows):
        column = "[LiDARPoseComponent].range_image_return1.values"
        rows[0][column] = rows[0][column][:-7]

    change(raw / "validation/lidar_pose/segment-b.parquet", shorten)
    shutil.copy(split / "camera_image/segment-a.parquet", split / "camera_image/segment-c.parquet")
    records = read_built(tmp_path / "out", raw, name, SPLITS, max_bad="90%")
    bad = reasons(tmp_path / "out", name)
    assert len(records) == 7 + 5
    lost = {"1000_FRONT", "5_FRONT_LEFT", "1000_9"}
    late = {f"segment-b/1000_{camera}" for camera in CAMERAS.values()}
    assert set(bad) == {*(f"segment-a/{frame}" for frame in lost), *late, "segment-c"}
    assert "does not decode" in bad["segment-a/1000_FRONT"]
    assert "the lidar has no frame of its time" in bad["segment-a/5_FRONT_LEFT"]
    assert "its camera has no calibration" in bad["segment-a/1000_9"]
    assert "lidar_pose/segment-b.parquet, 1000 is damaged" in bad["segment-b/1000_FRONT"]
    assert "camera_calibration/segment-c.parquet is missing" in bad["segment-c"]


@pytest.mark.parametrize("component", ["lidar", "camera_image", "vehicle_pose"])
def test_a_damaged_file_costs_its_segment(raw, tmp_path, component):
    path = raw / f"training/{component}/segment-a.parquet"
    shutil.copytree(raw / "validation", raw / "training", dirs_exist_ok=True)
    shutil.rmtree(raw / "validation")
    path.write_bytes(b"PAR1 no parquet")
    records = read_built(tmp_path / "out", raw, "waymo/corrected", ["train"], max_bad="90%")
    assert len(records) == 10 and all("segment-b" in key for key in records)
    (reason,) = reasons(tmp_path / "out", "waymo/corrected").values()
    assert f"{component}/segment-a.parquet is damaged" in reason


def test_a_pose_that_is_not_rigid_is_named(raw, tmp_path):
    def stretch(rows):
        rows[1]["[VehiclePoseComponent].world_from_vehicle.transform"][0] = 3.0

    change(raw / "training/vehicle_pose/segment-a.parquet", stretch)
    with pytest.raises(BadInput, match=r"vehicle_pose/segment-a.*is not rigid"):
        build("waymo/corrected", tmp_path / "out", raw)
