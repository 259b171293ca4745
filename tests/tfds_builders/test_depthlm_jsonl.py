import io
import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.tfds_builders.reading import read_split
from tfds_builders.build import build
from vlm3_jax.errors import BadInput


def png(width: int, height: int, seed: int = 0) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="PNG")
    return file.getvalue()


def line(**changes) -> dict:
    values = {
        "image": "kitchen/a.png",
        "intrinsics": [50.0, 51.0, 31.5, 23.5, 64, 48],
        "pixel_coords": [[0, 0], [63, 47], [10.5, 20]],
        "depth": [1.0, 2.5, 3],
    }
    return {key: value for key, value in (values | changes).items() if value is not None}


def write_set(folder: Path, **files: list[dict | str]) -> Path:
    """Writes JSONL files, and two images that their lines may name."""
    (folder / "kitchen").mkdir(parents=True)
    (folder / "kitchen" / "a.png").write_bytes(png(64, 48))
    (folder / "kitchen" / "b.png").write_bytes(png(64, 48, seed=1))
    for name, lines in files.items():
        text = "\n".join(x if isinstance(x, str) else json.dumps(x) for x in lines)
        (folder / f"{name}.jsonl").write_text(text + "\n")
    return folder


def test_reads_back_what_the_lines_say(tmp_path):
    raw = write_set(tmp_path / "raw", rooms=[line(), line(image="kitchen/b.png", depth=[7, 8, 9])])
    folder, is_new = build("depthlm_jsonl", tmp_path / "out", raw)
    assert is_new and folder == tmp_path / "out" / "depthlm_jsonl" / "1.0.0"
    records = {record["frame"]: record for record in read_split(folder, "test")}
    assert set(records) == {b"a", b"b"}
    record = records[b"a"]
    assert record["image"] == (raw / "kitchen" / "a.png").read_bytes()
    assert record["intrinsics"].tolist() == [50.0, 51.0, 31.5, 23.5, 64, 48]
    assert record["points_xy"].tolist() == [[0, 0], [63, 47], [10.5, 20]]
    assert record["depth_m"].tolist() == [1.0, 2.5, 3.0]
    assert (record["dataset"], record["scene"]) == (b"rooms", b"kitchen")
    assert record["label_kind"] == b"z"
    assert records[b"b"]["depth_m"].tolist() == [7, 8, 9]
    assert record["points_xy"].dtype == record["depth_m"].dtype == np.float32


def test_splits_come_from_the_file_names(tmp_path):
    raw = write_set(
        tmp_path / "raw",
        rooms_train=[line()],
        more_train=[line(), line(image="kitchen/b.png")],
        rooms_val=[line()],
        rooms=[line()],
    )
    folder, _ = build("depthlm_jsonl", tmp_path / "out", raw)
    counts = {split: len(read_split(folder, split)) for split in ("train", "validation", "test")}
    assert counts == {"train": 3, "validation": 1, "test": 1}


def test_accepts_what_depthlm_itself_writes(tmp_path):
    # Its Matterport script writes image_path (spec datasets.md 2.2); an image may come twice.
    matterport = line(image=None, image_path="kitchen/a.png")
    raw = write_set(tmp_path / "raw", rooms=[matterport, "", line(label_kind="euclid")])
    folder, _ = build("depthlm_jsonl", tmp_path / "out", raw)
    kinds = {r["frame"]: r["label_kind"] for r in read_split(folder, "test")}
    assert kinds == {b"a": b"z", b"a-line3": b"euclid"}


NAN, INF = math.nan, math.inf
BAD_LINES = {
    "not_json": ("{", "is not JSON"),
    "not_utf8": ("\udcff", "is not JSON"),
    "not_an_object": ("[1]", "is not a JSON object"),
    "no_image": (line(image=None), "lacks the key 'image'"),
    "image_not_text": (line(image=3), "'image' is 3"),
    "no_intrinsics": (line(intrinsics=None), "lacks the key 'intrinsics'"),
    "no_points": (line(pixel_coords=None), "lacks the key 'pixel_coords'"),
    "no_depth": (line(depth=None), "lacks the key 'depth'"),
    "empty_points": (line(pixel_coords=[], depth=[]), "'pixel_coords' is empty"),
    "short_intrinsics": (line(intrinsics=[50, 50]), "'intrinsics' has 2 values instead of 6"),
    "short_depth": (line(depth=[1]), "'depth' has 1 values instead of 3"),
    "depth_not_a_list": (line(depth=1.0), "'depth' is 1.0; give a list"),
    "depth_text": (line(depth=[1, "2", 3]), "'depth' holds '2'"),
    "depth_bool": (line(depth=[1, True, 3]), "'depth' holds True"),
    "depth_zero": (line(depth=[1, 0, 3]), "the depth of point 1 is 0"),
    "depth_negative": (line(depth=[-1, 1, 3]), "the depth of point 0 is -1"),
    "depth_nan": (line(depth=[1, 2, NAN]), "the depth of point 2 is nan"),
    "depth_infinite": (line(depth=[1, 2, INF]), "the depth of point 2 is inf"),
    "point_of_three": (line(pixel_coords=[[1, 2], [1, 2, 3], [1, 2]]), "point 1 is [1, 2, 3]"),
    "point_text": (line(pixel_coords=[["1", 2], [1, 2], [1, 2]]), "point 0 is ['1', 2]"),
    "point_right": (line(pixel_coords=[[1, 2], [64, 2], [1, 2]]), "point 1 (64, 2) is outside"),
    "point_below": (line(pixel_coords=[[1, 48], [1, 2], [1, 2]]), "point 0 (1, 48) is outside"),
    "point_left": (line(pixel_coords=[[-1, 2], [1, 2], [1, 2]]), "point 0 (-1, 2) is outside"),
    "point_nan": (line(pixel_coords=[[NAN, 2], [1, 2], [1, 2]]), "point 0 (nan, 2) is outside"),
    "fx_zero": (line(intrinsics=[0, 50, 32, 24, 64, 48]), "fx is 0"),
    "fx_negative": (line(intrinsics=[-5, 50, 32, 24, 64, 48]), "fx is -5"),
    "fx_nan": (line(intrinsics=[NAN, 50, 32, 24, 64, 48]), "fx is nan"),
    "fy_zero": (line(intrinsics=[50, 0, 32, 24, 64, 48]), "fy is 0"),
    "other_size": (line(intrinsics=[50, 50, 32, 24, 65, 48]), "is 64x48, but its intrinsics"),
    "half_a_pixel": (line(intrinsics=[50, 50, 32, 24, 64.5, 48]), "whole width and height"),
    "image_missing": (line(image="kitchen/none.png"), "cannot be read"),
    "image_above": (line(image="../b.png"), "names '../b.png', which is no path inside"),
    "image_elsewhere": (line(image="/b.png"), "names '/b.png', which is no path inside"),
    "label_kind": (line(label_kind="disparity"), "'label_kind' is 'disparity'"),
}


@pytest.mark.parametrize("case", BAD_LINES)
def test_a_bad_line_is_named_and_leaves_nothing(tmp_path, case):
    bad, message = BAD_LINES[case]
    raw = write_set(tmp_path / "raw", rooms=[line()])
    text = bad if isinstance(bad, str) else json.dumps(bad)
    with (raw / "rooms.jsonl").open("ab") as file:
        file.write(text.encode("utf-8", "surrogateescape") + b"\n")
    with pytest.raises(BadInput) as error:
        build("depthlm_jsonl", tmp_path / "deep" / "out", raw)
    assert "rooms.jsonl line 2" in str(error.value)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["raw"]


@pytest.mark.parametrize(
    ("data", "size", "message"),
    [
        (b"no image", (64, 48), "does not decode"),
        (png(64, 48)[:-2000], (64, 48), "does not decode"),
        (png(1, 48), (1, 48), "1x48"),
        (png(402, 2), (402, 2), "aspect ratio"),
    ],
    ids=["text", "truncated", "one_pixel_wide", "aspect_ratio"],
)
def test_a_bad_image_is_named_and_leaves_nothing(tmp_path, data, size, message):
    intrinsics = [50, 50, 0, 0, *size]
    labels = {"pixel_coords": [[0, 0]], "depth": [1]}
    raw = write_set(tmp_path / "raw", rooms=[line(), line(intrinsics=intrinsics, **labels)])
    text = (raw / "rooms.jsonl").read_text().splitlines()
    (raw / "rooms.jsonl").write_text(text[0].replace("a.png", "b.png") + "\n" + text[1])
    (raw / "kitchen" / "a.png").write_bytes(data)
    with pytest.raises(BadInput, match=message) as error:
        build("depthlm_jsonl", tmp_path / "out", raw)
    assert "rooms.jsonl line 2" in str(error.value) and "a.png" in str(error.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, r"no \*\.jsonl file"),
        ({"rooms": [""]}, "is empty"),
        ({"a": [line()], "b": []}, "empty"),
    ],
)
def test_an_empty_dataset_is_an_error(tmp_path, files, message):
    raw = write_set(tmp_path / "raw", **files)
    with pytest.raises(BadInput, match=message):
        build("depthlm_jsonl", tmp_path / "out", raw)
    assert not (tmp_path / "out").exists()


def test_builds_ibims1(ibims1, tmp_path):
    folder, _ = build("depthlm_jsonl", tmp_path, ibims1)
    records = {r["frame"].decode(): r for r in read_split(folder, "test")}
    lines = [json.loads(text) for text in (ibims1 / "ibims1.jsonl").read_text().splitlines()]
    assert len(records) == len(lines) == 60
    for expected in lines:
        record = records[Path(expected["image"]).stem]
        assert record["image"] == (ibims1 / expected["image"]).read_bytes()
        np.testing.assert_array_equal(record["intrinsics"], expected["intrinsics"])
        np.testing.assert_array_equal(record["points_xy"], np.float32(expected["pixel_coords"]))
        np.testing.assert_array_equal(record["depth_m"], np.float32(expected["depth"]))
