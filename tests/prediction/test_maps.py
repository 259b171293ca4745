"""Depth maps on the command line: one run after another, and what each leaves."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from tests.commands import Run, run_all
from tests.prediction.ply import read_ply
from tests.tiny import textured_image
from vlm3_jax.geometry.camera import Camera, project

MAP_FILES = ["depth.npy", "depth_color.png", "depth_mm.png", "points.jsonl", "points.ply"]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    """A large image, a photo with EXIF, a mask, and a folder with a torn image."""
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(7)
    Image.fromarray(textured_image(rng, 480, 640)).save(folder / "large.png")
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.FocalLengthIn35mmFilm] = 26
    small = Image.fromarray(textured_image(rng, 48, 80))
    small.save(folder / "photo.jpg", exif=exif)
    mask = np.zeros((48, 80), np.uint8)
    mask[:, 40:] = 255
    Image.fromarray(mask).save(folder / "mask.png")

    several = folder / "several"
    several.mkdir()
    for name in ("b.png", "c.JPG"):
        small.save(several / name)
    Image.fromarray(textured_image(rng, 30, 30)).save(several / "other size.png")
    (several / "a torn.png").write_bytes((several / "b.png").read_bytes()[:300])
    (several / "notes.txt").write_text("no image")
    (several / "deeper").mkdir()
    torn = folder / "all torn"
    torn.mkdir()
    shutil.copy(several / "a torn.png", torn)
    return folder


@pytest.fixture(scope="module")
def runs(speaking_hf, far_hf, pictures, tmp_path_factory) -> tuple[Path, dict[str, Run]]:
    out = tmp_path_factory.mktemp("out")
    near, far = f"--checkpoint={speaking_hf}", f"--checkpoint={far_hf}"
    photo, points = f"--image={pictures}/photo.jpg", f"--points_file={pictures}/points.csv"
    (pictures / "points.csv").write_text("3,4\n70.5,40\n")
    masked = [f"--mask={pictures}/mask.png", "--num_points=60"]
    commands = {
        "map": [near, f"--image={pictures}/large.png", "--fx=560", "--cy=230.5", "--stride=8"],
        "z": [near, photo, "--fov=60", "--depth_kind=z", *masked],
        "certain": [near, photo, "--fov=60", "--certainty=2", *masked],
        "far": [far, photo, "--stride=16"],
        "cut": [near, photo, points, "--max_new_tokens=2"],
        "folder": [near, f"--image={pictures}/several", "--fx=90", *masked],
        "all torn": [near, f"--image={pictures}/all torn", "--fx=90", "--stride=8"],
    }
    common = ["--task=depth", "--focal=100", "--max_new_tokens=8"]
    found = run_all(
        "vlm3_jax.predict",
        [[*common, f"--out={out}/{name}", *rest] for name, rest in commands.items()],
    )
    return out, dict(zip(commands, found, strict=True))


def printed(runs, name: str, status: int = 0) -> dict:
    run = runs[1][name]
    assert run.status == status, run.err
    return json.loads(run.out)


def test_a_large_image_in_one_command(runs, pictures):
    result, folder = printed(runs, "map"), runs[0] / "map"
    assert sorted(path.name for path in folder.iterdir()) == [*MAP_FILES, "prediction.json"]
    assert json.loads((folder / "prediction.json").read_text()) == result
    assert sorted(result["files"]) == MAP_FILES
    assert result["camera_source"] == "--fx" and result["depth_kind"] == "euclid"
    assert result["grid"] == {"stride": 8, "rows": 60, "columns": 80, "first_pixel": [4, 4]}
    counts = ("questions", "parse_failures", "unfinished", "unusable", "saturated_in_depth_mm")
    assert [result[key] for key in counts] == [4800, 0, 0, 0, 0]

    metres = np.load(folder / "depth.npy")
    assert metres.dtype == np.float32 and metres.shape == (60, 80) and (metres == 2.5).all()
    with Image.open(folder / "depth_mm.png") as levels:
        assert levels.mode == "I;16" and (np.asarray(levels) == 2500).all()
        assert levels.size == (80, 60)
    with Image.open(folder / "depth_color.png") as picture:
        assert picture.mode == "RGB" and picture.size == (640, 480)

    camera = Camera(**result["camera"])
    assert camera == Camera(560, 560, 319.5, 230.5, 640, 480)
    rows, columns = np.mgrid[4:480:8, 4:640:8].reshape(2, -1)
    xyz, colours = read_ply(folder / "points.ply")
    assert np.abs(project(camera, xyz)[0] - np.stack([columns, rows], -1)).max() < 0.01
    np.testing.assert_allclose(np.linalg.norm(xyz, axis=1), 2.5, rtol=1e-6)
    np.testing.assert_array_equal(
        colours, np.asarray(Image.open(pictures / "large.png"))[rows, columns]
    )
    lines = (folder / "points.jsonl").read_text().splitlines()
    points = [json.loads(line) for line in lines]
    assert [(point["x"], point["y"]) for point in points] == list(
        zip(columns.tolist(), rows.tolist(), strict=True)
    )
    assert points[0].pop("log_probability") == pytest.approx(0, abs=1e-5)
    assert points[0] == {
        "x": 4,
        "y": 4,
        "metres": 2.5,
        "answer": "<answer> 2.5 </answer>",
        "finished": True,
    }


def test_depth_along_the_axis_where_the_mask_is(runs):
    result, folder = printed(runs, "z"), runs[0] / "z"
    assert result["camera_source"] == "--fov" and result["depth_kind"] == "z"
    grid = result["grid"]
    columns = grid["first_pixel"][0] + grid["stride"] * np.arange(grid["columns"])
    metres = np.load(folder / "depth.npy")
    assert metres.shape == (grid["rows"], grid["columns"]) and abs(metres.size - 60) < 10
    np.testing.assert_array_equal(np.isfinite(metres), [columns >= 40] * grid["rows"])
    np.testing.assert_array_equal(
        np.asarray(Image.open(folder / "depth_mm.png")),
        np.where(columns >= 40, 2500, 0)[None] + np.zeros((grid["rows"], 1)),
    )
    xyz, _ = read_ply(folder / "points.ply")
    assert len(xyz) == np.isfinite(metres).sum() == result["questions"]
    np.testing.assert_array_equal(xyz[:, 2], 2.5)


def test_a_map_with_its_certainty(runs):
    result, folder = printed(runs, "certain"), runs[0] / "certain"
    new = ["confidence.npy", "confidence.png"]
    assert sorted(path.name for path in folder.iterdir()) == [
        *new,
        *MAP_FILES,
        "prediction.json",
    ]
    assert sorted(result["files"]) == [*new, *MAP_FILES]
    assert result["certainty"]["branches"] == 2
    assert result["certainty"]["mean_unexplained"] == pytest.approx(0, abs=1e-5)
    metres, confidence = np.load(folder / "depth.npy"), np.load(folder / "confidence.npy")
    assert confidence.dtype == np.float32 and confidence.shape == metres.shape
    np.testing.assert_array_equal(np.isfinite(confidence), np.isfinite(metres))
    np.testing.assert_allclose(confidence[np.isfinite(confidence)], 1, atol=1e-5)
    with Image.open(folder / "confidence.png") as picture:
        assert picture.mode == "RGB" and picture.size == (80, 48)
    points = [json.loads(line) for line in (folder / "points.jsonl").read_text().splitlines()]
    assert len(points) == result["questions"]
    for point in points:
        assert point["metres"] == 2.5 and point["likely_metres"] == pytest.approx(2.55)
        assert point["low"] == point["high"] == pytest.approx(2.55)
        assert point["confidence"] == pytest.approx(1, abs=1e-5)


def test_what_16_bits_cannot_hold_is_counted_and_said(runs):
    result, folder = printed(runs, "far"), runs[0] / "far"
    assert result["camera_source"] == "EXIF FocalLengthIn35mmFilm 26"
    assert result["saturated_in_depth_mm"] == result["questions"] == 15
    assert (np.asarray(Image.open(folder / "depth_mm.png")) == 65535).all()
    assert (np.load(folder / "depth.npy") == 70).all()
    err = runs[1]["far"].err
    assert "15 depths are beyond 65.535 m" in err
    assert "not as its EXIF orientation says" in err


def test_answers_that_were_cut_are_counted_and_shown(runs):
    result = printed(runs, "cut")
    assert result["parse_failures"] == result["unfinished"] == result["questions"] == 2
    assert [(p["x"], p["y"], p["metres"], p["finished"]) for p in result["points"]] == [
        (3, 4, None, False),
        (70.5, 40, None, False),
    ]
    shown = "2 of 2 answers hold no number (2 answers were cut at --max_new_tokens=2)"
    assert shown in runs[1]["cut"].err and "'<answer> 2.5'" in runs[1]["cut"].err


def test_a_folder_goes_on_without_what_cannot_be_used(runs, pictures):
    result, folder = printed(runs, "folder", status=1), runs[0] / "folder"
    several = pictures / "several"
    assert [image["image"] for image in result["images"]] == [
        f"{several}/b.png",
        f"{several}/c.JPG",
    ]
    assert [Path(skipped["image"]).name for skipped in result["skipped"]] == [
        "a torn.png",
        "other size.png",
    ]
    err = runs[1]["folder"].err
    assert "skipped: " in err and "a torn.png does not decode" in err
    assert "mask.png is 80x48, but" in err and "other size.png is 30x30" in err
    assert "several that are no images: 1" in err
    assert sorted(path.name for path in folder.iterdir()) == ["b.png", "c.JPG"]
    for name in ("b.png", "c.JPG"):
        files = sorted(path.name for path in (folder / name).iterdir())
        assert files == [*MAP_FILES, "prediction.json"]
        metres = np.load(folder / name / "depth.npy")
        assert set(metres[np.isfinite(metres)].tolist()) == {2.5}


def test_a_folder_of_which_nothing_can_be_used_is_bad_input(runs):
    run = runs[1]["all torn"]
    assert run.status == 2 and run.out == "" and not (runs[0] / "all torn").exists()
    assert run.err.splitlines()[-1].startswith("error: none of the 1 images of ")
