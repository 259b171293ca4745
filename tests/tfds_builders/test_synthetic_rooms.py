import dataclasses
import io
import itertools
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.tfds_builders.reading import read_split
from tfds_builders.synthetic_rooms.examples import correspondences, render_scene, scene_examples
from tfds_builders.synthetic_rooms.solids import distance
from tfds_builders.synthetic_rooms.synthetic_rooms_dataset_builder import Builder, RoomsConfig
from tfds_builders.writing import write_dataset
from vlm3_jax.data.depth_maps import decode_depth
from vlm3_jax.data.records import RegionRecord
from vlm3_jax.data.sampling import ObjectsSampling
from vlm3_jax.data.sources import open_source
from vlm3_jax.geometry.camera import Camera, project, unproject
from vlm3_jax.geometry.correspondence import correspond, reproject
from vlm3_jax.geometry.covisibility import PosedDepth, covisibility, normalise
from vlm3_jax.tasks import objects


def tiny(config: str, **changes):
    """A config's recipe with two training scenes and one for validation."""
    recipe = Builder.builder_configs[config].recipe
    changes = {"scenes": {"train": 2, "validation": 1}, "views": 4, "lenses": 2} | changes
    return dataclasses.replace(recipe, **changes)


def build_tiny(config: str, folder) -> str:
    builder = Builder(config=RoomsConfig(name="tiny", recipe=tiny(config)), data_dir=folder)
    write_dataset(builder)
    return builder.data_dir


def to_world(camera, c2w, xy, z):
    return unproject(camera, xy, z) @ c2w[:3, :3].T + c2w[:3, 3]


@pytest.fixture(scope="module")
def views_folder(tmp_path_factory):
    return build_tiny("views", tmp_path_factory.mktemp("views"))


@pytest.fixture(scope="module")
def pairs_folder(tmp_path_factory):
    return build_tiny("pairs", tmp_path_factory.mktemp("pairs"))


def test_views_read_back(views_folder):
    train, validation = (read_split(views_folder, split) for split in ("train", "validation"))
    assert (len(train), len(validation)) == (8, 4)
    scenes = [{record["scene"] for record in split} for split in (train, validation)]
    assert not scenes[0] & scenes[1]
    for record in train + validation:
        assert record["label_kind"] == b"z" and record["dataset"] == b"synthetic_rooms"
        assert int(record["frame"]) == record["view"] < 4
        image = Image.open(io.BytesIO(record["image"]))
        assert image.size == (320, 240) and image.mode == "RGB"
        camera = Camera.from_array(record["intrinsics"])
        assert (camera.width, camera.height) == image.size and 200 <= camera.fx <= 420
        c2w = record["c2w"]
        np.testing.assert_allclose(c2w[:3, :3] @ c2w[:3, :3].T, np.eye(3), atol=1e-12)
        assert len(record["boxes_xyxy"]) == len(record["object_names"])
        assert record["boxes_xyxy"].shape[1:] == (4,)
    names = [name.decode() for record in train for name in record["object_names"]]
    assert names and all(name.split()[1] in ("box", "ball", "cylinder") for name in names)


def test_regions_are_asked_about_and_answered(tmp_path):
    folder = build_tiny("regions", tmp_path)
    _, _, views = render_scene(tiny("regions"), "train", 0)
    source = open_source(Path(folder).parents[2], "synthetic_rooms/tiny", "train", RegionRecord)
    records = {record.key: record for record in source}
    assert len(records) == len(source) > 4
    asked = 0
    for number, view in enumerate(views):
        record = records.get(f"synthetic_rooms/train_00000/{number:02d}")
        if record is None:
            continue
        np.testing.assert_array_equal(record.boxes_xyxy, view.boxes_xyxy)
        sampling = ObjectsSampling(questions_per_image=None)
        for question in sampling.ask(record, np.random.default_rng(0), vary=False):
            assert question.truth is not None and "Region [" not in question.prompt
            if question.category == "width_data":
                names = [objects.box_text(box, 320, 240) for box in view.boxes_xyxy]
                x1, y1, x2, y2 = view.boxes_xyxy[names.index(question.regions[0])]
                middle = view.depth[round((y1 + y2) / 2), round((x1 + x2) / 2)]
                width = (x2 - x1) / view.camera.fx * middle
                assert question.truth == pytest.approx(width, rel=0.25)
                asked += 1
    assert asked


def test_points_agree_with_the_depth_map(views_folder):
    for record in read_split(views_folder, "train"):
        depth = decode_depth(record["depth_map"], record["depth_scale"])
        x, y = record["points_xy"].astype(int).T
        assert len(x) == 100
        assert x.min() >= 5 and x.max() < 315 and y.min() >= 5 and y.max() < 235
        np.testing.assert_allclose(record["depth_m"], depth[y, x], atol=5.1e-4)


def test_pairs_read_back(pairs_folder):
    records = read_split(pairs_folder, "train")
    assert records
    for record in records:
        assert record["scale_type"] == b"metric" and record["frame"].count(b"-") == 1
        assert len(record["corr"]) >= 10 and (record["covisibility_normalised"] > 0.25).all()
        depths = [
            decode_depth(record[f"depth_map{side}"], record[f"depth_scale{side}"]) for side in "12"
        ]
        poses = [record[f"c2w{side}"] for side in "12"]
        cameras = [Camera.from_array(record[f"intrinsics{side}"]) for side in "12"]
        assert {(camera.width, camera.height) for camera in cameras} == {(320, 240)}
        assert Image.open(io.BytesIO(record["image1"])).size == (320, 240)
        # The same world point, as far as millimetres of depth tell.
        xy_1, xy_2 = record["corr"][:, :2], record["corr"][:, 2:]
        z = depths[0][xy_1[:, 1].astype(int), xy_1[:, 0].astype(int)]
        landed, _ = reproject(xy_1, z, *cameras, *poses)
        np.testing.assert_allclose(landed, xy_2, atol=1.0)
        expected = covisibility([PosedDepth(*v) for v in zip(depths, cameras, poses, strict=True)])
        both = [(0, 1), (1, 0)]
        for name, scores in (("covisibility", expected), ("_normalised", normalise(expected))):
            stored = record["covisibility" + name.removeprefix("covisibility")]
            np.testing.assert_allclose(stored, [scores[i] for i in both], atol=0.01)


def test_correspondences_are_the_same_visible_world_point():
    # Sight is checked by walking along it with `distance`, which the renderer never uses.
    checked = 0
    for index in range(3):
        rng, scene, views = render_scene(tiny("pairs"), "train", index)
        solids = [thing for thing in scene.solids if thing.name]
        for one, two in itertools.pairwise(views):
            found = correspondences(rng, scene, one, two, 40).astype(np.float64)
            if not len(found):
                continue
            x, y = found[:, :2].astype(int).T
            world = to_world(one.camera, one.c2w, found[:, :2], one.depth[y, x])
            landed, z_2 = project(two.camera, (world - two.c2w[:3, 3]) @ two.c2w[:3, :3])
            # A point on the outer half of an edge pixel is moved to its centre.
            landed = np.clip(landed, 0, [319, 239])
            np.testing.assert_allclose(landed, found[:, 2:], atol=1e-2)
            assert (z_2 > 0).all()
            way = world - two.c2w[:3, 3]
            for share in np.linspace(0, 1 - 0.01 / np.linalg.norm(way, axis=1), 60):
                points = (two.c2w[:3, 3] + share[:, None] * way).T
                for thing in solids:
                    assert (distance(thing, points) > 0).all()
            checked += len(found)
    assert checked > 50


def test_occlusion_by_depth_agrees_with_walking_along_the_sight():
    agree, hidden = [], 0
    for index in range(3):
        _, scene, views = render_scene(tiny("views"), "train", index)
        solids = [thing for thing in scene.solids if thing.name]
        one, two = views[0], views[1]
        x, y = (grid.ravel() for grid in np.meshgrid(np.arange(6, 320, 14), np.arange(6, 240, 14)))
        xy, z = np.stack([x, y], -1), one.depth[y, x]
        pose = one.camera, two.camera, one.c2w, two.c2w
        _, seen = correspond(xy, z, *pose, two.depth)
        landed, _ = reproject(xy, z, *pose)
        with np.errstate(invalid="ignore"):
            inside = np.all((landed >= 0) & (landed <= [319, 239]), axis=1)
        way = to_world(one.camera, one.c2w, xy, z) - two.c2w[:3, 3]
        blocked = np.zeros(len(xy), bool)
        for share in np.linspace(0, 1 - 0.05 / np.linalg.norm(way, axis=1), 80):
            points = (two.c2w[:3, 3] + share[:, None] * way).T
            for thing in solids:
                blocked |= distance(thing, points) == 0
        agree.append((seen == ~blocked)[inside])
        hidden += int(blocked[inside].sum())
    assert hidden > 20
    assert np.concatenate(agree).mean() > 0.95


def same(one: list, two: list) -> bool:
    return len(one) == len(two) and all(
        all(np.array_equal(a[key], b[key]) for key in a) for a, b in zip(one, two, strict=True)
    )


def test_a_scene_depends_on_its_split_and_number_only():
    recipe = tiny("quickstart")
    first = scene_examples(recipe, "train", 1)
    assert same(first, scene_examples(tiny("quickstart", scenes={"train": 9}), "train", 1))
    images = {example["image"] for example in first}
    for other in (("train", 0), ("validation", 1)):
        assert not images & {example["image"] for example in scene_examples(recipe, *other)}


def test_quickstart_records_are_what_a_tiny_model_reads(tmp_path):
    folder = build_tiny("quickstart", tmp_path)
    records = read_split(folder, "validation")
    assert len(records) == 4
    for record in records:
        assert Image.open(io.BytesIO(record["image"])).size == (128, 96)
        assert record["intrinsics"].tolist() == [100, 100, 63.5, 47.5, 128, 96]
        assert 10 <= len(record["points_xy"]) <= 20
