import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.tfds_builders.known_geometry import SCENES, KnownView, image_file, known_views
from tfds_builders.build import build
from tfds_builders.items import MaxBad
from vlm3_jax.data.sources import open_source
from vlm3_jax.errors import BadInput

STEP = 50 / 65535


def write_raw(folder) -> dict[str, KnownView]:
    """The raw layout; a stripe is masked in each mask, and another has no depth."""
    views = {f"{s}_{v.frame}": v for s in SCENES for v in known_views(s, 2)}
    for part in ("rgb", "depth", "mask_invalid", "mask_transp", "calib"):
        (folder / part).mkdir(parents=True)
    for name, view in views.items():
        depth = np.rint(view.depth / STEP).astype(np.uint16)
        depth[:, 30:40] = 0
        for part, column in (("mask_invalid", 40), ("mask_transp", 50)):
            mask = np.full(depth.shape, 255, np.uint8)
            mask[:, column : column + 10] = 0
            (folder / part / f"{name}.png").write_bytes(image_file(mask))
        (folder / "rgb" / f"{name}.png").write_bytes(view.file())
        (folder / "depth" / f"{name}.png").write_bytes(image_file(depth))
        camera = view.camera
        numbers = camera.fx, camera.fy, camera.cx, camera.cy
        (folder / "calib" / f"{name}.txt").write_text(",".join(map(str, numbers)) + "\n")
    (folder / "imagelist.txt").write_text("\n".join(views) + "\n")
    return views


@pytest.fixture
def raw(tmp_path):
    return tmp_path / "raw"


def read(out):
    return {record.key: record for record in open_source(out, "ibims1", "test")}


def test_reads_back_what_the_cameras_saw(raw, tmp_path):
    views = write_raw(raw)
    build("ibims1", tmp_path / "out", raw)
    records = read(tmp_path / "out")
    assert set(records) == {f"ibims1/{name.split('_')[0]}/{name}" for name in views}
    for record in records.values():
        view = views[record.key.split("/")[-1]]
        assert record.camera == view.camera and record.c2w is None
        assert record.image == view.file()
        assert (record.label_kind, record.scale_type, record.split) == ("z", "metric", "test")
        assert len(record.points_xy) == 100
        x, y = record.points_xy.T
        assert x.min() >= 10 and x.max() <= 85 and y.min() >= 10 and y.max() <= 53
        assert not ((x >= 30) & (x < 60)).any()
        assert np.abs(record.depth_m - view.z_at(record.points_xy)).max() <= STEP / 2 + 1e-6
        assert view.label_error(record.camera, view.c2w, record.points_xy, record.z_m) < 0.5


def test_the_largest_step_is_50_metres(raw, tmp_path):
    write_raw(raw)
    depth = raw / "depth" / "attic_000.png"
    depth.write_bytes(image_file(np.full((64, 96), 65535, np.uint16)))
    build("ibims1", tmp_path / "out", raw)
    assert set(read(tmp_path / "out")["ibims1/attic/attic_000"].depth_m) == {50.0}


def test_depthlm_s_labels_come_back_from_depth_maps_that_hold_only_them(ibims1, raw, tmp_path):
    write_raw(raw)
    lines = [json.loads(line) for line in (ibims1 / "ibims1.jsonl").read_text().splitlines()[:2]]
    names = [Path(line["image"]).stem for line in lines]
    (raw / "imagelist.txt").write_text("\n".join(names))
    for name, line in zip(names, lines, strict=True):
        shutil.copy(ibims1 / line["image"], raw / "rgb")
        depth, mask = np.zeros((480, 640), np.uint16), np.ones((480, 640), np.uint8)
        for (x, y), metres in zip(line["pixel_coords"], line["depth"], strict=True):
            depth[y, x] = round(metres / STEP)
        for part, pixels in (("depth", depth), ("mask_invalid", mask), ("mask_transp", mask)):
            (raw / part / f"{name}.png").write_bytes(image_file(pixels))
        (raw / "calib" / f"{name}.txt").write_text(", ".join(map(str, line["intrinsics"][:4])))
    build("ibims1", tmp_path / "out", raw)
    records = read(tmp_path / "out")
    for name, line in zip(names, lines, strict=True):
        record = records[f"ibims1/{name.split('_')[0]}/{name}"]
        assert record.camera.to_array().tolist() == line["intrinsics"]
        drawn = dict(zip(map(tuple, record.points_xy), record.depth_m, strict=True))
        labels = dict(zip(map(tuple, line["pixel_coords"]), line["depth"], strict=True))
        assert drawn == {xy: np.float32(metres) for xy, metres in labels.items()}


@pytest.mark.parametrize("part", ["imagelist.txt", "calib"])
def test_a_missing_part_is_named(raw, tmp_path, part):
    write_raw(raw)
    (raw / part).rename(tmp_path / "elsewhere")
    with pytest.raises(BadInput, match=f"{part} is missing.*tfds_builders/ibims1/README.md"):
        build("ibims1", tmp_path / "out", raw)


@pytest.mark.parametrize(
    ("file", "data", "message"),
    [
        ("rgb/barn_001.png", b"no image", "does not decode"),
        ("depth/barn_001.png", b"", "does not decode"),
        ("depth/barn_001.png", image_file(np.ones((64, 96), np.uint8)), "is no 16-bit image"),
        ("depth/barn_001.png", image_file(np.zeros((64, 96), np.uint16)), "no depth anywhere"),
        ("mask_transp/barn_001.png", image_file(np.ones((64, 9), np.uint8)), "size"),
        ("mask_invalid/barn_001.png", None, "cannot be read"),
        ("calib/barn_001.txt", b"70 0 47 0 72 30 0 0 1", "9 numbers instead of 4"),
        ("calib/barn_001.txt", b"0,72,47,30", "fx is 0"),
    ],
)
def test_a_corrupt_file_costs_only_itself(raw, tmp_path, file, data, message):
    write_raw(raw)
    (raw / file).write_bytes(data) if data is not None else (raw / file).unlink()
    folder, _ = build("ibims1", tmp_path / "out", raw, max_bad=MaxBad(number=1))
    keys = [key.split("/")[-1] for key in read(tmp_path / "out")]
    assert sorted(keys) == ["attic_000", "attic_001", "barn_000"]
    report = folder.with_name("1.0.0.bad.jsonl").read_text()
    assert message in report and "barn_001" in report


def test_a_name_that_comes_twice_is_reported(raw, tmp_path):
    write_raw(raw)
    with (raw / "imagelist.txt").open("a") as file:
        file.write("attic_000\n")
    with pytest.raises(BadInput, match="attic_000 comes twice"):
        build("ibims1", tmp_path / "out", raw)
