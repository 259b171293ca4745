"""COLMAP's files as its documentation describes them (doc/format.rst)."""

import struct
from pathlib import Path

import pytest

from vlm3_jax.data.cameras import colmap
from vlm3_jax.data.cameras.listed import find_camera
from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.camera import Camera

# Model, its id, size and parameters.
CAMERAS = {
    1: ("SIMPLE_PINHOLE", 0, 640, 480, [500.0, 320.0, 240.0]),
    2: ("PINHOLE", 1, 640, 480, [510.0, 520.0, 321.5, 239.0]),
    3: ("SIMPLE_RADIAL", 2, 640, 480, [505.0, 322.0, 241.0, 0.0]),
    4: ("OPENCV", 4, 640, 480, [505.0, 506.0, 322.0, 241.0, 0.1, 0, 0, 0]),
    5: ("OPENCV_FISHEYE", 5, 640, 480, [505.0, 506.0, 322.0, 241.0, 0, 0, 0, 0]),
    9: ("FULL_OPENCV", 6, 640, 480, [400.0, 406.0, 322.0, 241.0, *[0.0] * 8]),
}
IMAGES = {"a/1.jpg": 1, "a/2.jpg": 2, "zero.jpg": 3, "bent.jpg": 4, "fish.jpg": 5, "b/1.jpg": 9}


def write_text(folder: Path) -> Path:
    folder.mkdir()
    lines = ["# Camera list with one line of data per camera:"]
    for number, (name, _, width, height, values) in CAMERAS.items():
        lines.append(" ".join(map(str, [number, name, width, height, *values])))
    (folder / "cameras.txt").write_text("\n".join(lines) + "\n")
    lines = ["# Image list with two lines of data per image:", "# and these"]
    for number, (name, camera) in enumerate(IMAGES.items(), start=1):
        lines.append(f"{number} 1 0 0 0 0.5 0 0 {camera} {name}")
        lines.append("1.5 2.5 -1 3 4 17" if number == 2 else "")  # Points of an image, or none.
    (folder / "images.txt").write_text("\n".join(lines) + "\n")
    return folder


def write_binary(folder: Path) -> Path:
    folder.mkdir()
    data = struct.pack("<Q", len(CAMERAS))
    for number, (_, model, width, height, values) in CAMERAS.items():
        data += struct.pack(f"<IiQQ{len(values)}d", number, model, width, height, *values)
    (folder / "cameras.bin").write_bytes(data)
    data = struct.pack("<Q", len(IMAGES))
    for number, (name, camera) in enumerate(IMAGES.items(), start=1):
        points = [(1.5, 2.5, -1), (3.0, 4.0, 17)] if number == 2 else []
        data += struct.pack("<I4d3dI", number, 1, 0, 0, 0, 0.5, 0, 0, camera)
        data += name.encode() + b"\0" + struct.pack("<Q", len(points))
        data += b"".join(struct.pack("<ddq", *point) for point in points)
    (folder / "images.bin").write_bytes(data)
    return folder


@pytest.fixture(params=[write_text, write_binary], ids=["text", "binary"])
def folder(request, tmp_path) -> Path:
    return request.param(tmp_path / "sparse")


def find(folder: Path, name: str, width: int = 640, height: int = 480):
    return find_camera(colmap.read(folder), Path(name), width, height)


def test_pinhole_cameras_count_from_the_first_pixels_centre(folder):
    camera, source = find(folder, "/photos/a/1.jpg")
    assert camera == Camera(500, 500, 319.5, 239.5, 640, 480)
    assert source.startswith(str(folder / "cameras.")) and source.endswith(", camera 1")
    assert find(folder, "a/2.jpg")[0] == Camera(510, 520, 321, 238.5, 640, 480)
    assert find(folder, "zero.jpg")[0] == Camera(505, 505, 321.5, 240.5, 640, 480)
    assert find(folder, "b/1.jpg")[0] == Camera(400, 406, 321.5, 240.5, 640, 480)


def test_the_camera_is_scaled_with_its_image(folder):
    camera = find(folder, "2.jpg", 320, 240)[0]
    assert camera == Camera(255, 260, 321.5 / 2 - 0.5, 239 / 2 - 0.5, 320, 240)
    with pytest.raises(BadInput, match="a crop and not a smaller copy"):
        find(folder, "2.jpg", 480, 640)


@pytest.mark.parametrize(("name", "lens"), [("bent.jpg", r"OPENCV with"), ("fish.jpg", "FISHEYE")])
def test_other_lenses_have_to_be_undistorted_first(folder, name, lens):
    with pytest.raises(
        BadInput, match=rf"no pinhole camera \(.*{lens}.*undistort the images first"
    ):
        find(folder, name)


def test_unknown_and_ambiguous_names(folder):
    with pytest.raises(BadInput, match=r"names no image c\.jpg \(it names a/1\.jpg and others\)"):
        find(folder, "c.jpg")
    with pytest.raises(BadInput, match=r"names several images for .*1\.jpg"):
        find(folder, "elsewhere/1.jpg")


def test_torn_files_are_refused(folder):
    for path in sorted(folder.iterdir()):
        whole = path.read_bytes()
        for size in (len(whole) - 3, len(whole) // 2, 4) if path.suffix == ".bin" else (0,):
            path.write_bytes(whole[:size] or whole + b"7 x")
            with pytest.raises(BadInput, match=f"{path.name} is no whole file of COLMAP"):
                colmap.read(folder)
        path.write_bytes(whole)


def test_folders_without_both_files_are_refused(folder):
    next(folder.glob("images.*")).unlink()
    with pytest.raises(BadInput, match="holds neither cameras"):
        colmap.read(folder)


def test_an_image_without_a_listed_camera(folder):
    if (folder / "cameras.txt").exists():
        (folder / "cameras.txt").write_text("1 PINHOLE 640 480 1 1 0 0\n")
        with pytest.raises(BadInput, match=r"a/2\.jpg has camera 2, which is not listed"):
            colmap.read(folder)
    else:
        data = (folder / "cameras.bin").read_bytes()
        (folder / "cameras.bin").write_bytes(data[:12] + struct.pack("<i", 99) + data[16:])
        with pytest.raises(BadInput, match="unknown model 99"):
            colmap.read(folder)
