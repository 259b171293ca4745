"""The whole benchmark on small images, and each of its claims of equal work."""

import json

import numpy as np
import pytest
from PIL import Image

from launch.bench.images.inputs import jpegs
from launch.bench.images.sides import OURS, STAGES, distance, levels, run, way
from tests.commands import run_all
from tests.tiny import textured_image
from vlm3_jax.data.images import decode
from vlm3_jax.errors import BadInput

SIDES = ("transformers", *OURS)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photographs")
    for number in range(2):
        pixels = textured_image(np.random.default_rng(number), 90, 120)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


@pytest.mark.slow
def test_the_benchmark_prints_its_tables(photographs, tmp_path):
    small = ["--rounds=2", "--seconds=0.05", "--num_images=2", "--shown=320x240"]
    run_made_up, run_photographs, *refused = run_all(
        "launch.bench_images",
        [
            [*small, "--stored=320x240,200x150", "--workers=2", f"--out={tmp_path}/a.json"],
            [*small, "--stored=400x300", "--workers=1", f"--images={photographs}"],
            [*small, "--shown=320"],
            [*small, f"--images={tmp_path}"],
        ],
    )
    for done in (run_made_up, run_photographs):
        assert done.status == 0, done.err
    figures = json.loads((tmp_path / "a.json").read_text())
    assert list(figures["cases"]) == ["320x240", "200x150"]
    for sides in figures["cases"].values():
        for name in SIDES:
            side = sides[name]
            assert side["largest_difference"] == 0 and side["share_different"] == 0
            assert side["images_per_s"]["median"] > 0 and set(side["ms_an_image"]) == set(STAGES)
    for name in SIDES:
        assert [one["workers"] for one in figures["workers"][name]] == [1, 2]
        assert all(one["images_per_s"] > 0 for one in figures["workers"][name])
    assert "400x300 JPEG" in run_photographs.out
    for done, message in zip(refused, ("--shown=320 is no size", "has 0 JPEG"), strict=True):
        assert done.status == 2 and message in done.err


@pytest.mark.parametrize("stored", [(320, 240), (200, 150), (500, 380)])
def test_all_sides_make_the_same_levels(stored):
    (jpeg,) = jpegs(None, 1, stored, quality=90, seed=0)
    ways = {name: way(name, (320, 240)) for name in SIDES}
    made = {name: [run(each, jpeg)[0]] for name, each in ways.items()}
    assert levels(made["exact"][0]).shape == (320, 768)  # 20x16 patches of 3x16x16.
    for patches in made.values():
        assert distance(patches, made["exact"]) == (0, 0.0)
    other = [made["fast"][0].copy()]
    other[0][0, 0] ^= 4
    assert distance(other, made["fast"])[0] == 4


def test_files_are_jpegs_of_the_size(photographs):
    for folder in (None, photographs):
        files = jpegs(folder, 2, (70, 50), quality=80, seed=0)
        pixels = [decode(file, "a") for file in files]
        assert files[0][:2] == b"\xff\xd8" and pixels[0].shape == (50, 70, 3)
        assert (pixels[0] != pixels[1]).any() and pixels[0].std() > 10
    with pytest.raises(BadInput, match="has 2 JPEG and PNG files, but --num_images is 3"):
        jpegs(photographs, 3, (70, 50), quality=80, seed=0)
