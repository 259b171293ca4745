import shutil

import numpy as np
import pytest

from tests.tfds_builders.known_geometry import (
    CAMERA,
    SCENES,
    KnownView,
    image_file,
    known_views,
)
from tfds_builders.build import build
from tfds_builders.items import MaxBad
from vlm3_jax.data.sources import open_source
from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.camera import euclid_from_z

CONFIGS = "release_faithful", "corrected"


def write_raw(folder) -> dict[str, KnownView]:
    """The raw layout: y up from the bottom edge, cameras that look along -z."""
    views = {}
    for scene in SCENES:
        for part in ("camera_parameters", "color_images", "depth_images"):
            (folder / scene / f"undistorted_{part}").mkdir(parents=True)
        lines = ["dataset matterport", "n_images 3", ""]
        # A point d in front of the camera projects to fx x / d + cx, fy y / d + cy with y up; the
        # first pixel's centre is half a pixel from the left edge, and from the top one.
        up = CAMERA.height - (CAMERA.cy + 0.5)
        lines += [f"intrinsics_matrix {CAMERA.fx} 0 {CAMERA.cx + 0.5} 0 {CAMERA.fy} {up} 0 0 1"]
        for number, view in enumerate(known_views(scene, 3)):
            right, down, forward = view.c2w[:3, :3].T
            pose = np.eye(4)
            pose[:3] = np.stack([right, -down, -forward, view.c2w[:3, 3]], -1)
            names = f"abc_d{number}_0.png", f"abc_i{number}_0.jpg"
            lines.append(f"scan {' '.join(names)} {' '.join(map(repr, pose.ravel().tolist()))}")
            depth = np.rint(view.depth * 4000).astype(np.uint16)
            depth[20:30] = 0
            (folder / scene / "undistorted_depth_images" / names[0]).write_bytes(image_file(depth))
            image = folder / scene / "undistorted_color_images" / names[1]
            image.write_bytes(view.file("JPEG"))
            views[f"{scene}/abc_i{number}_0"] = view
        conf = folder / scene / "undistorted_camera_parameters" / f"{scene}.conf"
        conf.write_text("\n".join(lines) + "\n")
    (folder / "scenes_train.txt").write_text("attic\ncellar\n")
    (folder / "scenes_val.txt").write_text("hall\n")
    (folder / "scenes_test.txt").write_text("barn\n")
    return views


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scans")
    return folder, write_raw(folder)


@pytest.fixture
def views(written, tmp_path):
    """The views of a raw folder tmp_path / "raw" that a test may spoil."""
    shutil.copytree(written[0], tmp_path / "raw")
    return written[1]


def read(out, split="test", config="corrected"):
    source = open_source(out, f"matterport3d/{config}", split)
    return {"/".join(record.key.split("/")[1:]): record for record in source}


@pytest.mark.parametrize("config", CONFIGS)
def test_reads_back_what_the_cameras_saw(views, tmp_path, config):
    build(f"matterport3d/{config}", tmp_path / "out", tmp_path / "raw")
    train, test = (read(tmp_path / "out", split, config) for split in ("train", "test"))
    assert {key.split("/")[0] for key in train} == {"attic"}
    assert set(train | test) == set(views)
    for key, record in (train | test).items():
        view = views[key]
        assert record.image == view.file("JPEG")
        assert (record.label_kind, record.scale_type) == ("euclid", "metric")
        np.testing.assert_allclose(record.c2w, view.c2w, atol=1e-12)
        xy = record.points_xy
        assert len(xy) == 100 and not ((xy[:, 1] >= 20) & (xy[:, 1] < 30)).any()
        assert np.abs(record.z_m - view.z_at(xy)).max() < 0.5 / 4000 + 1e-6
        error = view.label_error(record.camera, record.c2w, xy, record.z_m)
        if config == "corrected":
            assert record.camera == CAMERA
            assert error < 0.5
            true = euclid_from_z(CAMERA, xy, view.z_at(xy))
            np.testing.assert_allclose(record.depth_m, true, atol=2e-4)
        else:
            assert record.camera.to_array().tolist() == [70, 72, 47.5, 33.5, 96, 64]
            assert error > 0.5


def test_4000_steps_are_a_metre(views, tmp_path):
    depth = tmp_path / "raw" / "barn" / "undistorted_depth_images" / "abc_d0_0.png"
    depth.write_bytes(image_file(np.full((64, 96), 4000, np.uint16)))
    build("matterport3d/corrected", tmp_path / "out", tmp_path / "raw")
    z = read(tmp_path / "out")["barn/abc_i0_0"].z_m
    np.testing.assert_allclose(z, 1.0, rtol=1e-6)


def test_images_with_hardly_any_depth_are_left_out(views, tmp_path):
    path = tmp_path / "raw" / "barn" / "undistorted_depth_images"
    depth = np.zeros((64, 96), np.uint16)
    depth[0, :49] = 4000
    (path / "abc_d1_0.png").write_bytes(image_file(depth))
    depth[0, 49] = 4000
    (path / "abc_d2_0.png").write_bytes(image_file(depth))
    build("matterport3d/corrected", tmp_path / "out", tmp_path / "raw")
    records = read(tmp_path / "out")
    assert set(records) == {"barn/abc_i0_0", "barn/abc_i2_0"}
    assert len(records["barn/abc_i2_0"].points_xy) == 50


@pytest.mark.parametrize("part", ["scenes_val.txt", "*/undistorted_camera_parameters"])
def test_a_missing_part_is_named(views, tmp_path, part):
    for number, path in enumerate((tmp_path / "raw").glob(part)):
        path.rename(tmp_path / f"elsewhere{number}")
    with pytest.raises(BadInput) as error:
        build("matterport3d/corrected", tmp_path / "out", tmp_path / "raw")
    assert f"{part} is missing" in str(error.value)
    assert "tfds_builders/matterport3d/README.md" in str(error.value)


def test_a_house_of_no_list_is_reported(views, tmp_path):
    (tmp_path / "raw" / "scenes_test.txt").write_text("hall\n")
    folder, _ = build(
        "matterport3d/corrected", tmp_path / "out", tmp_path / "raw", max_bad=MaxBad(number=1)
    )
    assert "scene barn is not listed" in folder.with_name("1.0.0.bad.jsonl").read_text()
    assert len(read(tmp_path / "out", "train")) == 3


CONF, COLOUR, DEPTH = (
    "undistorted_camera_parameters/barn.conf",
    "undistorted_color_images/abc_i1_0.jpg",
    "undistorted_depth_images/abc_d1_0.png",
)


def scan(change):
    """Changes the numbers of the second scan."""

    def of(data):
        lines = data.decode().splitlines()
        words = lines[5].split()
        lines[5] = " ".join(words[:3] + [str(x) for x in change(list(map(float, words[3:])))])
        return "\n".join(lines).encode()

    return of


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        (COLOUR, lambda data: data[:500], "does not decode"),
        (COLOUR, None, "cannot be read"),
        (DEPTH, lambda data: data[:50], "does not decode"),
        (DEPTH, None, "cannot be read"),
        (DEPTH, lambda data: image_file(np.full((64, 90), 4000, np.uint16)), "is 90x64"),
        (DEPTH, lambda data: image_file(np.full((64, 96), 99, np.uint16)), "no depth anywhere"),
        (CONF, scan(lambda numbers: [1.01 * number for number in numbers]), "not rigid"),
        (CONF, scan(lambda numbers: [-n for n in numbers[:4]] + numbers[4:]), "not rigid"),
        (CONF, lambda data: data.replace(b" abc_i1_0", b" ../abc_i1_0"), "is no path inside"),
        (CONF, lambda data: data.replace(b" abc_d1_0", b" /abc_d1_0"), "is no path inside"),
    ],
    ids=range(10),
)
def test_a_corrupt_file_costs_only_itself(views, tmp_path, file, change, message):
    path = tmp_path / "raw" / "barn" / file
    path.write_bytes(change(path.read_bytes())) if change else path.unlink()
    folder, _ = build(
        "matterport3d/corrected", tmp_path / "out", tmp_path / "raw", max_bad=MaxBad(number=1)
    )
    assert set(read(tmp_path / "out")) == {"barn/abc_i0_0", "barn/abc_i2_0"}
    report = folder.with_name("1.0.0.bad.jsonl").read_text()
    assert message in report and "barn/abc_i1_0" in report


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[: text.rindex("scan")], "lists 2 scans, but its n_images is 3"),
        (lambda text: text[:-30], "numbers instead of 16"),
        (lambda text: "1280 1024 1075 1076 629 522 0 0 0 0 0", "n_images is None"),
        (lambda text: "n_images 0", "the images of house barn are none"),
        (lambda text: text.replace("intrinsics_matrix", "# "), "before the first intrinsics"),
    ],
    ids=range(5),
)
def test_a_corrupt_camera_file_costs_only_its_house(views, tmp_path, change, message):
    path = tmp_path / "raw" / "barn" / CONF
    path.write_text(change(path.read_text()))
    folder, _ = build(
        "matterport3d/corrected", tmp_path / "out", tmp_path / "raw", max_bad=MaxBad(number=1)
    )
    assert len(read(tmp_path / "out", "train")) == 3
    assert message in folder.with_name("1.0.0.bad.jsonl").read_text()
