import math
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from tests.data import toy
from tests.tfds_builders.inspection import sets
from tests.tfds_builders.known_geometry import known_views
from tfds_builders.inspection.collect import collect
from tfds_builders.inspection.findings import findings
from tfds_builders.schema import NO_POSE
from vlm3_jax.data.sources import find_dataset
from vlm3_jax.errors import BadInput


def inspected(data_dir: Path, *arguments, **options):
    return collect(data_dir, find_dataset(data_dir, sets.NAME), *arguments, **options)


@pytest.fixture(scope="module")
def views_dir(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("views")
    sets.build_views(folder)
    return folder


@pytest.fixture(scope="module")
def pairs_dir(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pairs")
    sets.build_pairs(folder)
    return folder


def test_views(views_dir):
    statistics, samples = inspected(views_dir, samples=5)
    assert statistics["kind"] == "depth" and len(samples) == 5
    assert statistics["records"] == {
        **{"built": 20, "read": 20, "refused": 0, "duplicates": 0, "of_another_split": 0},
        "told": [],
    }
    assert statistics["scenes"]["count"] == 2
    assert statistics["scenes"]["records_a_scene"] == {"min": 10, "median": 10, "max": 10}
    assert statistics["images"]["sizes"] == {"96x64": 20}
    assert statistics["images"]["formats"] == {"PNG": 20}
    cameras = statistics["cameras"]
    assert (cameras["fx"]["median"], cameras["fy"]["max"]) == (70, 72)
    assert cameras["fx_differs_from_fy"] == 1 and cameras["fx_differs_from_fy_by_a_tenth"] == 0
    across = 2 * math.degrees(math.atan(48 / 70))
    assert cameras["field_of_view_degrees"]["median"] == pytest.approx(across)
    # The principal point (47, 30) of 96x64 pixels is half a pixel and one and a half off.
    assert cameras["principal_point_off_centre"]["max"] == pytest.approx(1.5 / 64)


def test_depths_are_those_of_the_records(views_dir):
    statistics, _ = inspected(views_dir)
    depth = np.concatenate([example["depth_m"] for example in sets.views()])
    figures = statistics["depth"]["depth"]
    assert figures["count"] == len(depth) == 800
    assert (figures["min"], figures["max"]) == (depth.min(), depth.max())
    for name, percent in (("p5", 5), ("median", 50), ("p95", 95)):
        truth = np.percentile(depth, percent, method="inverted_cdf")
        assert figures[name] == pytest.approx(truth, rel=0.003)
    assert statistics["depth"]["points_a_view"]["median"] == 40
    assert statistics["depth"]["label_kinds"] == {"z": 20}
    assert statistics["depth"]["without_pose"] == 0


@pytest.mark.parametrize("kind", ["z", "euclid"])
def test_labels_agree_with_depth_maps_and_pictures(tmp_path, kind):
    sets.build_views(tmp_path, kind=kind)
    statistics, _ = inspected(tmp_path)
    measured = statistics["measured"]
    assert measured["depth_map_coverage"]["min"] == 1
    # Maps are in steps of a millimetre.
    assert measured["label_differs_from_depth_map"]["count"] == 800
    assert measured["label_differs_from_depth_map"]["max"] < 1e-3
    assert measured["likeness_of_pictures"]["count"] >= 5
    assert measured["likeness_of_pictures"]["median"] > 0.8
    assert findings(statistics) == []


def test_pairs(pairs_dir):
    statistics, _ = inspected(pairs_dir)
    figures, examples = statistics["pair"], sets.pairs()
    assert statistics["records"]["read"] == len(examples) == 12
    assert statistics["images"]["count"] == 24
    for way, name in enumerate(("covisibility_1_in_2", "covisibility_2_in_1")):
        scores = [example["covisibility"][way] for example in examples]
        assert figures[name]["min"] == pytest.approx(min(scores))
        assert figures[name]["mean"] == pytest.approx(np.mean(scores))
    relative = [np.linalg.inv(example["c2w1"]) @ example["c2w2"] for example in examples]
    angles = [np.degrees(Rotation.from_matrix(one[:3, :3]).magnitude()) for one in relative]
    lengths = [np.linalg.norm(one[:3, 3]) for one in relative]
    assert figures["rotation_degrees"]["max"] == pytest.approx(max(angles))
    assert figures["rotation_degrees"]["mean"] == pytest.approx(np.mean(angles))
    assert figures["baseline"]["min"] == pytest.approx(min(lengths))
    assert figures["baseline"]["mean"] == pytest.approx(np.mean(lengths))
    assert figures["correspondences"]["mean"] == 50
    measured = statistics["measured"]
    assert measured["reprojection_error_pixels"]["count"] == 600
    assert measured["reprojection_error_pixels"]["median"] < 0.01
    assert measured["covisibility_differs_from_depth_maps"]["p95"] < 0.02
    assert measured["likeness_of_pictures"]["min"] > 0.9
    assert findings(statistics) == []


def test_matches_are_derived_where_only_depth_maps_are_stored(tmp_path):
    sets.build_pairs(tmp_path, lambda example: example | {"corr": np.zeros((0, 4), np.float32)})
    statistics, _ = inspected(tmp_path)
    assert statistics["pair"]["correspondences"]["max"] == 0
    assert statistics["measured"]["likeness_of_pictures"]["min"] > 0.9
    (finding,) = findings(statistics)
    assert finding.startswith("100% of the pairs have no correspondences")


def test_regions(tmp_path):
    sets.build_regions(tmp_path)
    statistics, samples = inspected(tmp_path)
    figures = statistics["region"]
    assert len(samples) == 2 and statistics["cameras"]["unknown"] == 1
    assert figures["boxes_an_image"]["mean"] == 3 and figures["questions_an_image"]["mean"] == 2
    areas = [(x2 - x1) * (y2 - y1) / (96 * 64) for x1, y1, x2, y2 in sets.BOXES]
    assert figures["box_area"]["count"] == 6
    assert figures["box_area"]["mean"] == pytest.approx(np.mean(areas))
    assert figures["categories"] == {"distance_data": 2, "tall_predicate": 2}
    assert figures["qa_types"] == {"quantitative": 2, "qualitative": 2}
    assert figures["answers_with_category"] == 4 and figures["answers_unread"] == {}
    assert findings(statistics) == []


def test_splits_and_scenes(tmp_path):
    examples = sets.views()
    splits = {"train": examples[:13], "test": examples[13:]}
    features = sets.schema.depth_features() | sets.schema.depth_map_features()
    sets.build(tmp_path, features, splits)
    statistics, _ = inspected(tmp_path)
    assert statistics["splits"] == {
        "train": {"built": 13, "read": 13, "scenes": 2},
        "test": {"built": 7, "read": 7, "scenes": 1},
    }
    assert statistics["scenes"]["records_a_scene"] == {"min": 3, "median": 7, "max": 10}
    assert findings(statistics) == ["1 scenes are in several splits, for example known/barn."]
    one, samples = inspected(tmp_path, "test")
    assert list(one["splits"]) == ["test"] and one["records"]["read"] == 7
    assert {sample.split for sample in samples} == {"test"} and findings(one) == []
    part, _ = inspected(tmp_path, "train[:4]")
    assert part["records"]["read"] == 4 and findings(part) == []
    with pytest.raises(BadInput, match="no records in split 'validation'"):
        inspected(tmp_path, "validation")


def test_a_part_is_evenly_spaced(views_dir):
    statistics, samples = inspected(views_dir, max_records=5, samples=12)
    assert (statistics["records"]["built"], statistics["records"]["read"]) == (20, 5)
    assert len(samples) == 5 and statistics["scenes"]["count"] == 2


def test_the_seed_decides_which_are_drawn(views_dir):
    keys = [
        [sample.record.key for sample in inspected(views_dir, samples=6, seed=seed)[1]]
        for seed in (0, 0, 1)
    ]
    assert keys[0] == keys[1] != keys[2] and len(set(keys[0])) == 6


def test_records_that_loaders_refuse_are_told(tmp_path):
    def change(example):
        wrong = {"depth_m": -example["depth_m"]} if example["frame"] == "003" else {}
        return example | wrong

    sets.build_views(tmp_path, change)
    statistics, samples = inspected(tmp_path, samples=20)
    assert statistics["records"]["refused"] == 2 and len(samples) == 18
    found = findings(statistics)
    assert found[0] == "2 of 20 records are refused by the loaders."
    assert found[1].startswith("For example: known/") and "depth -" in found[1]


def test_records_without_pose_and_map(tmp_path):
    sets.build_views(tmp_path, lambda example: example | {"c2w": NO_POSE, "depth_map": b""})
    statistics, _ = inspected(tmp_path)
    assert statistics["depth"]["without_pose"] == 20
    assert statistics["measured"]["likeness_of_pictures"] == {"count": 0}
    assert statistics["measured"]["label_differs_from_depth_map"] == {"count": 0}
    assert findings(statistics) == []


def test_records_of_before_the_schema(tmp_path):
    toy.build(tmp_path)
    statistics, samples = collect(tmp_path, find_dataset(tmp_path, toy.NAME))
    assert statistics["depth"]["label_kinds"] == {"z": 13} and len(samples) == 12
    assert statistics["measured"]["label_differs_from_depth_map"] == {"count": 0}
    assert findings(statistics) == []


def test_known_views_are_what_was_built(views_dir):
    _, samples = inspected(views_dir, samples=20)
    views = {
        (view.scene, view.frame): view
        for scene in ("attic", "barn")
        for view in known_views(scene, 10)
    }
    for sample in samples:
        _, scene, frame = sample.record.key.split("/")
        assert sample.record.image == views[scene, frame].file()
