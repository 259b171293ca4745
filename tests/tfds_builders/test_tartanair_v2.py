import io
import re

import numpy as np
import pytest
from PIL import Image
from scipy.spatial.transform import Rotation

from tests.tfds_builders import pair_sets
from tests.tfds_builders.known_geometry import known_views
from tfds_builders import tartanair
from tfds_builders.tartanair_v2 import tartanair_v2_dataset_builder as module
from tfds_builders.tartanair_v2.tartanair_v2_dataset_builder import Builder, read_depth
from tfds_builders.writing import write_dataset
from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.camera import Camera

CAMERA = Camera(fx=32.0, fy=32.0, cx=32.0, cy=32.0, width=64, height=64)
FLIGHTS = {"HongKong/Data_easy/P000": "attic", "OldTownFall/Data_hard/P003": "barn"}


def depth_png(depth) -> bytes:
    """As cv2.imwrite stores `depth.view(uint8)` of four channels, blue first."""
    blue_first = np.ascontiguousarray(depth, "<f4").view(np.uint8).reshape(*depth.shape, 4)
    file = io.BytesIO()
    Image.fromarray(blue_first[..., [2, 1, 0, 3]], "RGBA").save(file, "PNG")
    return file.getvalue()


def ned_line(c2w) -> str:
    """The pose with a body whose axes are forward, right, down."""
    right, down, forward = c2w[:3, :3].T
    body = np.stack([forward, right, down], axis=1)
    return " ".join(
        map(repr, [*c2w[:3, 3].tolist(), *Rotation.from_matrix(body).as_quat().tolist()])
    )


def views(scene, count=4):
    return known_views(scene, count, CAMERA)


def write_raw(folder):
    """The even views by one camera, the odd ones by another."""
    for flight, scene in FLIGHTS.items():
        for parity, name in enumerate(("lcam_front", "rcam_left")):
            lines = []
            for place, view in enumerate(views(scene)[parity::2]):
                depth = sky(view.depth) if scene == "barn" else view.depth
                for kind, data in (("image", view.file()), ("depth", depth_png(depth))):
                    suffix = "_depth" if kind == "depth" else ""
                    path = folder / flight / f"{kind}_{name}" / f"{place:06d}_{name}{suffix}.png"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(data)
                lines.append(ned_line(view.c2w))
            (folder / flight / f"pose_{name}.txt").write_text("\n".join(lines) + "\n")
        (folder / flight / "image_lcam_fish").mkdir()
    return folder


def sky(depth):
    depth = depth.copy()
    depth[:3] = 90.0  # Sky in OldTown, whose scene ends after 80 m.
    return depth


def shown(scene, frame):
    number, camera = re.fullmatch(r"(\d{6})_(lcam_front|rcam_left)", frame).groups()
    return views(scene)[2 * int(number) + (camera == "rcam_left")]


def test_pairs_are_true(tmp_path):
    builder = Builder(data_dir=tmp_path / "out")
    write_dataset(builder, write_raw(tmp_path / "raw"))
    for split, flight, scene in (
        ("validation", "HongKong-easy-P000", "attic"),
        ("train", "OldTownFall-hard-P003", "barn"),
    ):
        made = pair_sets.records(builder, split)
        assert len(made) >= 3 and {pair_sets.sides(record)[0] for record in made} == {flight}
        for record in made:
            _, *frames = pair_sets.sides(record)
            one, two = (shown(scene, frame) for frame in frames)
            pair_sets.assert_true(record, one, two)
            assert (record.depth(0)[:3] == 0).all() == (scene == "barn")


def test_depth_is_four_bytes_of_which_blue_is_first(tmp_path):
    pixels = np.zeros((2, 2, 4), np.uint8)
    pixels[:] = [0x80, 0, 0, 0x3F]  # Red, green, blue, alpha of the bytes 00 00 80 3F.
    Image.fromarray(pixels, "RGBA").save(tmp_path / "a.png")
    assert read_depth(tmp_path / "a.png").tolist() == [[1.0, 1.0], [1.0, 1.0]]


def test_camera_of_a_full_image():
    camera = module._right_angle(np.zeros((640, 640)))
    assert camera == Camera(320.0, 320.0, 320.0, 320.0, 640, 640)


def test_sky_and_split_depend_on_the_environment():
    depth = np.array([34.0, 36, 79, 81, 119, 121, 199, 201])
    kept = {
        name: int((tartanair.without_sky(depth, name) > 0).sum())
        for name in ("OldBrickHouseDay", "OldTownSummerNight", "Prison", "ShoreCaves", "Office")
    }
    assert kept == {
        "OldBrickHouseDay": 1,
        "OldTownSummerNight": 3,
        "Prison": 3,
        "ShoreCaves": 5,
        "Office": 7,
    }
    splits = [tartanair.split_of(x) for x in ("PolarSciFi", "WesternDesertTown", "Office")]
    assert splits == ["test", "validation", "train"]


def test_views_are_spread_over_cameras_and_time(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_MAX_VIEWS", 2)
    builder = Builder(data_dir=tmp_path / "out")
    write_dataset(builder, write_raw(tmp_path / "raw"))
    (record,) = pair_sets.records(builder, "train")
    assert sorted(pair_sets.sides(record)[1:]) == ["000000_lcam_front", "000001_rcam_left"]


DEPTH = "OldTownFall/Data_hard/P003/depth_lcam_front/000001_lcam_front_depth.png"
IMAGE = "OldTownFall/Data_hard/P003/image_lcam_front/000001_lcam_front.png"
POSE = "OldTownFall/Data_hard/P003/pose_lcam_front.txt"


def second_pose(text):
    def spoil(raw):
        first, _ = (raw / POSE).read_text().splitlines()
        (raw / POSE).write_text(f"{first}\n{text}\n")

    return spoil


BAD = {
    "cut": (lambda raw: (raw / DEPTH).write_bytes((raw / DEPTH).read_bytes()[:400]), "depth.png"),
    "missing": (lambda raw: (raw / DEPTH).unlink(), "depth.png cannot be read"),
    "grey": (
        lambda raw: Image.new("L", (64, 64)).save(raw / DEPTH),
        "has no four channels",
    ),
    "nan": (
        lambda raw: (raw / DEPTH).write_bytes(depth_png(np.full((64, 64), np.nan))),
        "not finite",
    ),
    "negative": (
        lambda raw: (raw / DEPTH).write_bytes(depth_png(np.full((64, 64), -2.0))),
        "negative",
    ),
    "image": (lambda raw: (raw / IMAGE).write_bytes(b"x"), "does not decode"),
    "no_line": (second_pose(""), "has no line 2"),
    "short_line": (second_pose("1 2 3"), "pose_lcam_front.txt"),
    "text": (second_pose("1 2 3 a b c d"), "pose_lcam_front.txt is damaged"),
    "no_rotation": (second_pose("1 2 3 0 0 0 2"), "is no unit quaternion"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_frame_is_named_and_costs_itself(tmp_path, case):
    spoil, message = BAD[case]
    raw = write_raw(tmp_path / "raw")
    spoil(raw)
    builder = Builder(data_dir=tmp_path / "out")
    made = pair_sets.built(builder, raw, "train", max_bad="1")
    (line,) = pair_sets.bad_lines(builder)
    assert line["key"] == "OldTownFall-hard-P003/000001_lcam_front" and message in line["reason"]
    assert made and pair_sets.records(builder, "validation")


def test_what_is_missing_is_named(tmp_path):
    (tmp_path / "raw" / "Office").mkdir(parents=True)
    with pytest.raises(BadInput, match=r"pose_.* is missing.*'Manual download'.*tartanair_v2"):
        write_dataset(Builder(data_dir=tmp_path / "out"), tmp_path / "raw")
