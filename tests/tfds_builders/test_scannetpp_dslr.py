import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.tfds_builders.driving import edit, read_built, reasons
from tests.tfds_builders.known_geometry import KnownView, _cast, _colour, image_file, known_view
from tfds_builders.build import build
from tfds_builders.rectify import jpeg
from vlm3_jax.data.images import decode
from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.camera import Camera

SCENES = {"aaaaaaaaaa": "attic", "0e900bcc5c": "barn"}  # One to train on, one of the test.
SPLITS = ["train", "test"]
PINHOLE = Camera(60.0, 61.0, 47.5, 31.5, 96, 64)
BENDS = {"k1": 0.04, "k2": -0.01, "k3": 0.003, "k4": -0.001}
CENTRE = 46.0, 33.0
# World axes of nerfstudio, from those of the scan, and camera axes of OpenGL.
TURN = np.array([[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, -1, 0], [0, 0, 0, 1.0]])
OPENGL = np.diag([1.0, -1, -1, 1])


def straight(xy: np.ndarray) -> np.ndarray:
    """Pixels of the pinhole view that pixels [N, 2] of the photograph belong to."""
    bent = (xy - CENTRE) / [PINHOLE.fx, PINHOLE.fy]
    radius = np.linalg.norm(bent, axis=-1)
    angles = np.linspace(0, 1.5, 200001)
    k1, k2, k3, k4 = BENDS.values()
    table = angles + k1 * angles**3 + k2 * angles**5 + k3 * angles**7 + k4 * angles**9
    angle = np.interp(radius, table, angles)
    rays = bent * (np.tan(angle) / np.maximum(radius, 1e-12))[:, None]
    return rays * [PINHOLE.fx, PINHOLE.fy] + [PINHOLE.cx, PINHOLE.cy]


def photograph(view: KnownView) -> tuple[np.ndarray, np.ndarray]:
    """Image and depth, millimetres, of the fisheye camera."""
    y, x = np.mgrid[:64, :96].reshape(2, -1).astype(float)
    z, world = _cast(view.scene, view.camera, view.c2w, straight(np.stack([x, y], -1)))
    depth = np.rint(z * 1000).astype(np.uint16).reshape(64, 96)
    depth[:12] = 0
    return _colour(world).reshape(64, 96, 3), depth


def views(room: str) -> dict[str, KnownView]:
    return {f"DSC{number:05d}": known_view(room, number, PINHOLE) for number in range(2)}


def mask() -> np.ndarray:
    kept = np.full((64, 96), 255, np.uint8)
    kept[40:, :48] = 0
    return kept


@pytest.fixture
def raw(tmp_path) -> Path:
    for scene, room in SCENES.items():
        folder = tmp_path / "raw" / "data" / scene / "dslr"
        for name in ("resized_images", "resized_anon_masks", "render_depth", "nerfstudio"):
            (folder / name).mkdir(parents=True)
        frames = [{"file_path": "DSC99999.JPG", "is_bad": True, "transform_matrix": []}]
        for name, view in views(room).items():
            image, depth = photograph(view)
            (folder / f"resized_images/{name}.JPG").write_bytes(image_file(image))
            (folder / f"resized_anon_masks/{name}.png").write_bytes(image_file(mask()))
            (folder / f"render_depth/{name}.png").write_bytes(image_file(depth))
            matrix = (TURN @ view.c2w @ OPENGL).tolist()
            frame = {"file_path": f"{name}.JPG", "mask_path": f"{name}.png", "is_bad": False}
            frames.append(frame | {"transform_matrix": matrix})
        content = {"fl_x": PINHOLE.fx, "fl_y": PINHOLE.fy, "w": 96, "h": 64, **BENDS}
        # nerfstudio counts from the corner of the first pixel.
        content |= {"cx": CENTRE[0] + 0.5, "cy": CENTRE[1] + 0.5, "camera_model": "OPENCV_FISHEYE"}
        content |= {"frames": frames, "test_frames": [{"file_path": "DSC88888.JPG"}]}
        (folder / "nerfstudio/transforms.json").write_text(json.dumps(content))
    return tmp_path / "raw"


def known_views() -> dict[str, KnownView]:
    return {
        f"scannetpp_dslr/{scene}/{name}": view
        for scene, room in SCENES.items()
        for name, view in views(room).items()
    }


def test_labels_lie_on_the_known_surface(raw, tmp_path):
    records = read_built(tmp_path / "out", raw, "scannetpp_dslr", SPLITS)
    known = known_views()
    assert set(records) == set(known) and len(known) == 4
    for key, record in records.items():
        view = known[key]
        assert len(record.depth_m) == 100
        np.testing.assert_allclose(record.camera.to_array(), PINHOLE.to_array())
        np.testing.assert_allclose(record.c2w, view.c2w, atol=1e-9)
        error = view.label_error(record.camera, record.c2w, record.points_xy, record.z_m)
        assert error < 0.05, error
        x, y = record.points_xy.T
        assert not ((x < 45) & (y > 45)).any() and (y > 4).all()
        assert (record.label_kind, record.scale_type) == ("z", "metric")
        assert record.split == SPLITS["0e900bcc5c" in key]


def test_photographs_become_pinhole_views(raw, tmp_path):
    for key, record in read_built(tmp_path / "out", raw, "scannetpp_dslr", SPLITS).items():
        view = known_views()[key]
        image = decode(record.image, key).astype(int)
        # What JPEG costs at this size is more than what resampling does.
        assert (
            np.abs(image - decode(jpeg(view.image), key)).mean() < 3
        )  # A quarter of a pixel off: 3.7.
        assert np.abs(image - decode(jpeg(photograph(view)[0]), key)).mean() > 20


def test_what_is_missing_is_named(raw, tmp_path):
    (raw / "data").rename(raw / "other")
    with pytest.raises(BadInput, match=r"dslr is missing; .* tfds_builders/scannetpp_dslr/README"):
        build("scannetpp_dslr", tmp_path / "out", raw)


def test_bad_files_cost_only_themselves(raw, tmp_path):
    a, b = (raw / "data" / scene / "dslr" for scene in SCENES)
    for scene in "bcde":
        shutil.copytree(a, raw / "data" / scene / "dslr")
    (raw / "data/b/dslr/render_depth").rename(raw / "gone")
    (raw / "data/c/dslr/nerfstudio/transforms.json").write_text("{}")
    transforms = "nerfstudio/transforms.json"
    edit(raw / "data/d/dslr" / transforms, lambda x: x.update(camera_model="PINHOLE"))
    edit(raw / "data/e/dslr" / transforms, lambda x: x.update(frames=[]))
    (a / "resized_images/DSC00000.JPG").write_bytes(b"no image")
    (b / "render_depth/DSC00000.png").write_bytes(image_file(np.zeros((64, 96), np.uint16)))

    def stretch(content):
        content["frames"][1]["transform_matrix"][0][0] = 4.0

    def leave(content):
        frames = {frame["file_path"]: frame for frame in content["frames"]}
        frames["DSC00000.JPG"]["file_path"] = "../../DSC00000.JPG"
        frames["DSC00001.JPG"]["mask_path"] = "/mask.png"

    for scene in "fg":
        shutil.copytree(a, raw / "data" / scene / "dslr")
    edit(raw / "data/f/dslr" / transforms, stretch)
    edit(raw / "data/g/dslr" / transforms, leave)
    (raw / "data/f/dslr/resized_anon_masks/DSC00001.png").unlink()
    (raw / "data/f/dslr/resized_images/DSC00000.JPG").write_bytes(
        (b / "resized_images/DSC00000.JPG").read_bytes()
    )
    records = read_built(tmp_path / "out", raw, "scannetpp_dslr", SPLITS, max_bad="95%")
    assert {key.split("/", 1)[1] for key in records} == {
        "aaaaaaaaaa/DSC00001",
        "0e900bcc5c/DSC00001",
    }
    bad = reasons(tmp_path / "out", "scannetpp_dslr")
    assert "render_depth is missing" in bad["b"]
    assert "transforms.json is damaged" in bad["c"]
    assert "is of a camera PINHOLE" in bad["d"]
    assert "are none" in bad["e"]
    assert "does not decode" in bad["aaaaaaaaaa/DSC00000"]
    assert "has no depth anywhere" in bad["0e900bcc5c/DSC00000"]
    assert "is not rigid" in bad["f/DSC00000"]
    assert "DSC00001.png cannot be read" in bad["f/DSC00001"]
    assert all("is no path inside" in bad[f"g/DSC0000{number}"] for number in (0, 1))
