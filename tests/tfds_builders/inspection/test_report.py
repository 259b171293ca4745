import json
from pathlib import Path

import numpy as np
import pytest

from tests.page.reading import Page
from tests.tfds_builders.inspection import sets
from tests.tfds_builders.inspection.test_collect import inspected
from tfds_builders.inspection import report
from tfds_builders.inspection.drawing import _moved, _reduced
from tfds_builders.inspection.findings import findings
from vlm3_jax.evaluation.colormap import depth_levels, turbo

HOSTILE = "<script>alert('x')</script>&\"<img src=x onerror=alert(1)>"


def page_of(folder: Path, **options) -> tuple[Page, dict]:
    statistics, samples = inspected(folder, **options)
    statistics["findings"] = findings(statistics)
    page = Page(report.page(statistics, samples))
    page.assert_self_contained()
    return page, statistics


@pytest.mark.parametrize(
    ("build", "images", "texts"),
    [
        (sets.build_views, 2, ["40 points", "pose known", "Labels off depth map"]),
        (sets.build_pairs, 3, ["50 correspondences, 40 drawn", "Covisibility, 1 in 2"]),
        (
            sets.build_regions,
            1,
            ["How far is <mask> from <mask>?", "tall_predicate", "Yes, it is."],
        ),
    ],
)
def test_the_page_shows_samples_and_numbers(tmp_path, build, images, texts):
    build(tmp_path)
    page, statistics = page_of(tmp_path, samples=2)
    assert len(page.images()) == 2 * images and len(page.all("article")) == 2
    assert "Nothing looks wrong by the numbers" in page.text
    for text in texts:
        assert text in page.text
    for row in report.quantities(statistics):
        assert row.title in page.text
    drawn = {svg["aria-label"].partition(".")[0] for svg in page.all("svg")}
    varying = {
        row.title
        for row in report.quantities(statistics)
        if row.figures["min"] < row.figures["max"]
    }
    assert drawn == varying


def test_points_have_the_colour_of_their_depth(tmp_path):
    def change(example):
        points = {"points_xy": np.array([[20, 30], [70, 30]], np.float32)}
        return example | points | {"depth_m": np.array([1.0, 9.0], np.float32), "depth_map": b""}

    sets.build_views(tmp_path, change)
    page, _ = page_of(tmp_path, samples=1)
    (image,) = page.images()
    factor = image.width // 96
    pixels = np.asarray(image).astype(int)
    near, far = (pixels[30 * factor + factor // 2, x * factor + factor // 2] for x in (20, 70))
    limits = np.percentile([1.0, 9.0], (2, 98))
    wanted = turbo(depth_levels(np.array([1.0, 9.0]), limits)).astype(int)
    # JPEG blurs the colours of small dots.
    assert np.abs(near - wanted[0]).max() < 60 and near[0] > near[2] + 60
    assert np.abs(far - wanted[1]).max() < 60 and far[0] < 80


def test_findings_come_first(tmp_path):
    sets.build_pairs(tmp_path, lambda example: example | {"c2w1": example["c2w2"]})
    page, statistics = page_of(tmp_path)
    assert statistics["findings"] and "Nothing looks wrong" not in page.text
    places = [page.text.index(finding) for finding in statistics["findings"]]
    assert places == sorted(places) and places[-1] < page.text.index("Samples")


def test_texts_of_the_data_stay_texts(tmp_path):
    def change(example):
        texts = {name: [HOSTILE, HOSTILE] for name in ("questions", "answers", "categories")}
        return example | {"dataset": HOSTILE, "frame": HOSTILE} | texts

    sets.build_regions(tmp_path, change)
    page, _ = page_of(tmp_path)
    assert len(page.images()) == 2
    assert page.text.count(HOSTILE) > 10


def test_what_cannot_be_drawn_is_told(tmp_path):
    sets.build_views(tmp_path, lambda example: example | {"image": example["image"][:3000]})
    page, _ = page_of(tmp_path, samples=3)
    assert page.text.count("It cannot be drawn: known/") == 3


def test_large_images_are_scaled_down():
    image = np.zeros((1200, 1600, 3), np.uint8)
    image[600:700, 800:1000] = 255
    small, scale = _reduced(image)
    assert small.shape == (480, 640, 3)
    (x, y), (x2, y2) = _moved(np.array([[800, 600], [999, 699]]), scale)
    rows, columns = np.nonzero(small[..., 0] > 128)
    assert abs(columns.min() - x) <= 1 and abs(rows.min() - y) <= 1
    assert abs(columns.max() - x2) <= 1 and abs(rows.max() - y2) <= 1


def test_text_for_the_terminal(tmp_path):
    sets.build_views(tmp_path, lambda example: example | {"frame": "0"})
    statistics, _ = inspected(tmp_path)
    statistics["findings"] = findings(statistics)
    lines = report.text(statistics).splitlines()
    assert lines[0] == "known: Version 1.0.0: 20 depth records of 2 scenes; all read."
    assert lines[1] == "Splits: train 20 (2 scenes)" and "Image sizes: 96x64 20" in lines
    assert lines[-2] == "Looks wrong:"
    assert lines[-1] == "- 18 records have the dataset, scene and frame of another one."
    (fx,) = [line.split() for line in lines if line.startswith("Focal length fx")]
    assert fx[3:] == ["(pixels)", "70", "70", "70", "70", "70", "20", "images"]


def test_statistics_are_json(tmp_path):
    sets.build_pairs(tmp_path, lambda example: example | {"c2w1": np.linalg.inv(example["c2w1"])})
    statistics, _ = inspected(tmp_path)
    assert json.loads(json.dumps(statistics, allow_nan=False)) == statistics
