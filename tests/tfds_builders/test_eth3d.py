import shutil

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.tfds_builders.known_geometry import CAMERA, SCENES, KnownView, known_views
from tfds_builders.build import build
from tfds_builders.eth3d import thin_prism
from tfds_builders.items import MaxBad
from vlm3_jax.data.sources import open_source
from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.camera import euclid_from_z

WIDTH, HEIGHT = 100, 70
# fx, fy, cx, cy, k1, k2, p1, p2, k3, k4, sx1, sy1; each scene has two lenses.
LENSES = {
    "1": (62.0, 63.0, 49.0, 34.0, 0.06, 0.02, 0.011, -0.007, -0.01, 0.004, 0.013, -0.009),
    "2": (58.0, 57.0, 51.0, 36.0, -0.05, 0.03, -0.008, 0.012, 0.01, -0.003, -0.011, 0.006),
}
FIRST_ROW = f"{CAMERA.fx} {CAMERA.fy} {CAMERA.cx + 0.5} {CAMERA.cy + 0.5}"


# img_from_cam of pycolmap 4.2.1 for the points of test_the_lens_is_colmap_s.
PYCOLMAP = [
    [
        [49.0, 34.0],
        [66.88185420203224, 21.931750787966273],
        [15.598869182913681, 56.7741124648849],
        [93.12694979160213, 68.75291570135784],
    ],
    [
        [51.0, 36.0],
        [67.78095693723643, 24.996479053315966],
        [21.850790246600116, 55.068093992159675],
        [89.61421238010098, 65.40084940410893],
    ],
]


def distorted(lens, xy):
    """COLMAP's formula, written out apart from the builder's."""
    fx, fy, cx, cy, k1, k2, p1, p2, k3, k4, sx, sy = lens
    r = np.hypot(xy[:, 0], xy[:, 1])
    u, v = (xy * (np.arctan2(r, 1) / np.maximum(r, 1e-12))[:, None]).T
    q = u**2 + v**2
    radial = 1 + k1 * q + k2 * q**2 + k3 * q**3 + k4 * q**4
    x = u * radial + 2 * p1 * u * v + p2 * (q + 2 * u**2) + sx * q
    y = v * radial + 2 * p2 * u * v + p1 * (q + 2 * v**2) + sy * q
    return np.stack([fx * x + cx, fy * y + cy], -1)


def rays_of(lens, pixels):
    """Where the lens sees X/Z, Y/Z, by Newton's method."""
    xy = (pixels - lens[2:4]) / lens[:2]
    for _ in range(20):
        missed = distorted(lens, xy) - pixels
        step = 1e-6
        columns = [
            (distorted(lens, xy + shift) - distorted(lens, xy - shift)) / (2 * step)
            for shift in (np.array([step, 0]), np.array([0, step]))
        ]
        xy = xy - np.linalg.solve(np.stack(columns, -1), missed[..., None])[..., 0]
    assert np.abs(missed).max() < 1e-6
    return xy


def depth_file(view: KnownView, lens) -> bytes:
    """What the lens sees, a stripe of it unknown, as raw float32."""
    columns, rows = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    rays = rays_of(lens, np.stack([columns, rows], -1).reshape(-1, 2) + 0.5)
    focal, centre = [CAMERA.fx, CAMERA.fy], [CAMERA.cx, CAMERA.cy]
    depth = view.z_at(rays * focal + centre).reshape(HEIGHT, WIDTH)
    depth[:, 40:50] = np.inf
    return depth.astype("<f4").tobytes()


def write_raw(folder) -> dict[str, KnownView]:
    views = {f"{s}/DSC_{v.frame}": v for s in SCENES for v in known_views(s, 3)}
    for scene in SCENES:
        mine = {key: view for key, view in views.items() if key.startswith(scene)}
        lens_of = {key: str(1 + i % 2) for i, key in enumerate(mine)}
        for kind, part in (("dslr_images", "jpg"), ("dslr_images_undistorted", "undistorted")):
            calibration = folder / scene / f"dslr_calibration_{part}"
            calibration.mkdir(parents=True)
            lines = ["# Camera list with one line of data per camera:"]
            for number, lens in LENSES.items():
                model = f"THIN_PRISM_FISHEYE {WIDTH} {HEIGHT} {' '.join(map(str, lens))}"
                lines.append(f"{number} {model if part == 'jpg' else f'PINHOLE 96 64 {FIRST_ROW}'}")
            (calibration / "cameras.txt").write_text("\n".join(lines) + "\n")
            lines = ["# Image list with two lines of data per image:"]
            for number, (key, view) in enumerate(mine.items()):
                w2c = np.linalg.inv(view.c2w)
                x, y, z, w = Rotation.from_matrix(w2c[:3, :3]).as_quat()
                pose = " ".join(map(repr, map(float, (w, x, y, z, *w2c[:3, 3]))))
                name = f"{kind}/{key.split('/')[1]}.JPG"
                lines += [f"{number} {pose} {lens_of[key]} {name}", "1.0 2.0 -1" * (number % 2)]
            (calibration / "images.txt").write_text("\n".join(lines) + "\n")
        for part in ("images/dslr_images_undistorted", "ground_truth_depth/dslr_images"):
            (folder / scene / part).mkdir(parents=True)
        for key, view in mine.items():
            name = f"{key.split('/')[1]}.JPG"
            image = folder / scene / "images/dslr_images_undistorted" / name
            image.write_bytes(view.file("JPEG"))
            depth = folder / scene / "ground_truth_depth/dslr_images" / name
            depth.write_bytes(depth_file(view, LENSES[lens_of[key]]))
    return views


def read(out):
    return {"/".join(r.key.split("/")[1:]): r for r in open_source(out, "eth3d", "test")}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("eth3d")
    return folder, write_raw(folder)


@pytest.fixture
def views(written, tmp_path):
    """The views of a raw folder tmp_path / "raw" that a test may spoil."""
    shutil.copytree(written[0], tmp_path / "raw")
    return written[1]


def test_reads_back_what_the_cameras_saw(views, tmp_path):
    build("eth3d", tmp_path / "out", tmp_path / "raw")
    records = read(tmp_path / "out")
    assert set(records) == set(views)
    for key, record in records.items():
        view = views[key]
        assert record.image == view.file("JPEG")
        assert record.camera == CAMERA
        np.testing.assert_allclose(record.c2w, view.c2w, atol=1e-12)
        assert (record.label_kind, record.scale_type) == ("euclid", "metric")
        assert len(record.points_xy) == 100
        assert (record.points_xy >= 10).all() and (record.points_xy <= [85, 53]).all()
        assert view.label_error(record.camera, record.c2w, record.points_xy, record.z_m) < 0.01
        true = euclid_from_z(CAMERA, record.points_xy, view.z_at(record.points_xy))
        assert np.median(np.abs(record.depth_m - true)) < 1e-5


def test_the_lens_is_colmap_s():
    xy = np.array([[0, 0], [0.3, -0.2], [-0.6, 0.4], [0.9, 0.7]])
    for lens, expected in zip(LENSES.values(), PYCOLMAP, strict=True):
        pixels = thin_prism.project(lens, xy)
        np.testing.assert_allclose(pixels, expected, atol=1e-9)
        np.testing.assert_allclose(thin_prism.unproject(lens, pixels), xy, atol=1e-5)


def test_pixels_that_no_point_reaches_are_nan():
    barrel = (60, 60, 50, 35, -0.6, 0, 0, 0, 0, 0, 0, 0)
    assert np.isnan(thin_prism.unproject(barrel, np.array([[5000.0, 35.0]]))).all()


@pytest.mark.parametrize(
    "part", ["dslr_calibration_jpg", "dslr_calibration_undistorted", "ground_truth_depth"]
)
def test_a_missing_part_is_named(views, tmp_path, part):
    for scene in SCENES:
        (tmp_path / "raw" / scene / part).rename(tmp_path / scene)
    with pytest.raises(BadInput, match=f"{part}.* is missing.*tfds_builders/eth3d/README.md"):
        build("eth3d", tmp_path / "out", tmp_path / "raw")


DEPTH = "ground_truth_depth/dslr_images/DSC_001.JPG"
CAMERAS, IMAGES = "dslr_calibration_jpg/cameras.txt", "dslr_calibration_undistorted/images.txt"


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        (DEPTH, lambda data: data[:-4], "has 27996 bytes"),
        (DEPTH, lambda data: np.full(7000, np.nan, "<f4").tobytes(), "not finite"),
        (DEPTH, lambda data: np.full(7000, -1, "<f4").tobytes(), "negative"),
        (DEPTH, lambda data: np.full(7000, np.inf, "<f4").tobytes(), "has no usable pixel"),
        (DEPTH, None, "cannot be read"),
        ("images/dslr_images_undistorted/DSC_001.JPG", lambda data: data[:500], "does not decode"),
        (IMAGES, lambda data: scaled_pose(data), "not rigid"),
        (IMAGES, lambda data: turned_pose(data), "has two poses"),
        (CAMERAS, lambda data: data.replace(b"2 THIN_PRISM_FISHEYE", b"2 OPENCV"), "has no THIN"),
    ],
    ids=range(9),
)
def test_a_corrupt_file_costs_only_itself(views, tmp_path, file, change, message):
    path = tmp_path / "raw" / "barn" / file
    path.write_bytes(change(path.read_bytes())) if change else path.unlink()
    folder, _ = build("eth3d", tmp_path / "out", tmp_path / "raw", max_bad=MaxBad(number=1))
    assert set(read(tmp_path / "out")) == set(views) - {"barn/DSC_001"}
    report = folder.with_name("1.0.0.bad.jsonl").read_text()
    assert message in report and "barn/DSC_001" in report


def scaled_pose(data):
    """Image 1's quaternion, made 10% longer."""
    return changed_pose(data, lambda numbers: [1.1 * n for n in numbers[:4]] + numbers[4:])


def turned_pose(data):
    """Image 1's world-to-camera pose, inverted."""
    return changed_pose(data, lambda numbers: [numbers[0], *(-n for n in numbers[1:])])


def changed_pose(data, change):
    lines = data.decode().splitlines()
    words = lines[3].split()
    words[1:8] = map(str, change([float(word) for word in words[1:8]]))
    lines[3] = " ".join(words)
    return "\n".join(lines).encode()


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        (CAMERAS, "1 PINHOLE", "is no file of COLMAP"),
        (CAMERAS, "# nothing", "names camera '1'"),
        (IMAGES, "1 2 3", "is no file of COLMAP"),
        (IMAGES, "# nothing", "the images of scene barn are none"),
    ],
)
def test_a_corrupt_calibration_costs_only_its_scene(views, tmp_path, file, text, message):
    (tmp_path / "raw" / "barn" / file).write_text(text)
    folder, _ = build("eth3d", tmp_path / "out", tmp_path / "raw", max_bad=MaxBad(number=3))
    assert set(read(tmp_path / "out")) == {key for key in views if key.startswith("attic")}
    assert message in folder.with_name("1.0.0.bad.jsonl").read_text()
