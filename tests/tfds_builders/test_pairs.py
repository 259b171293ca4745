import dataclasses

import numpy as np
import pytest

from tests.tfds_builders.known_geometry import SCENES, correspondence_error, known_views
from tfds_builders.items import Bad
from tfds_builders.pairs import Choice, View, correspondences, scene_pairs
from vlm3_jax.data.depth_maps import decode_depth
from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.covisibility import PosedDepth, covisibility, normalise

NAMES = {"dataset": "known", "scene": "attic", "scale_type": "metric"}
TIGHT = Choice(absolute=2e-3, relative=2e-3)


def sides(views) -> list[View]:
    return [View(v.frame, v.file(), PosedDepth(v.depth, v.camera, v.c2w)) for v in views]


def examples(views, choice: Choice, seed: int = 0, load=None) -> list:
    known = sides(views)
    scores = covisibility([side.posed for side in known])
    rng = np.random.default_rng(seed)
    return list(scene_pairs(scores, load or known.__getitem__, choice, rng, NAMES))


@pytest.mark.parametrize("scene", SCENES)
def test_correspondences_are_true_and_none_is_hidden(scene, rng):
    views = known_views(scene, 3)
    for one, two in ((views[0], views[2]), (views[2], views[0])):
        posed = [PosedDepth(v.depth, v.camera, v.c2w) for v in (one, two)]
        corr = correspondences(*posed, dataclasses.replace(TIGHT, points=10**6), rng)
        assert corr.dtype == np.float32 and len(corr) > 500
        assert len(np.unique(corr[:, :2], axis=0)) == len(corr)
        visible = [correspondence_error(one, two, corr[i : i + 1]) for i in range(0, 500, 7)]
        assert np.isfinite(visible).mean() > 0.95  # Beside the block's edges pixels are coarse.
        # Clipped by up to half a pixel where it lands on an edge pixel's outer half.
        assert np.max(np.array(visible)[np.isfinite(visible)]) < 0.5


def test_records_of_a_scene():
    views = known_views("attic", 4)
    made = examples(views, Choice(points=30, max_pairs=3))
    assert len(made) == 3 and not any(isinstance(example, Bad) for example in made)
    scores = covisibility([PosedDepth(v.depth, v.camera, v.c2w) for v in views])
    for example in made:
        i, j = map(int, example["frame"].split("-"))
        assert example["corr"].shape == (30, 4)
        for side, k in (("1", i), ("2", j)):
            assert example[f"image{side}"] == views[k].file()
            np.testing.assert_array_equal(example[f"c2w{side}"], views[k].c2w)
            np.testing.assert_array_equal(example[f"intrinsics{side}"], views[k].camera.to_array())
            depth = decode_depth(example[f"depth_map{side}"], example[f"depth_scale{side}"])
            np.testing.assert_allclose(depth, views[k].depth, atol=5.1e-4)
        np.testing.assert_array_equal(example["covisibility"], [scores[i, j], scores[j, i]])
        expected = normalise(scores)[[i, j], [j, i]]
        np.testing.assert_array_equal(example["covisibility_normalised"], expected)
        assert (expected > 0.25).all()
        assert {name: example[name] for name in NAMES} == NAMES


def test_the_seed_decides():
    views = known_views("attic", 4)
    one, same, other = (examples(views, Choice(points=5), seed) for seed in (1, 1, 2))
    assert [x["frame"] for x in one] == [x["frame"] for x in same]
    assert all(np.array_equal(a["corr"], b["corr"]) for a, b in zip(one, same, strict=True))
    assert [x["frame"] for x in one] != [x["frame"] for x in other]


def test_a_bad_view_costs_its_pairs_only():
    views = known_views("attic", 3)
    known = sides(views)

    def load(i: int) -> View:
        if i == 1:
            raise BadInput("view 1 is bad.")
        return known[i]

    made = examples(views, Choice(), load=load)
    bad = [x for x in made if isinstance(x, Bad)]
    assert len(bad) == 2 and {x.reason for x in bad} == {"view 1 is bad."}
    good = [x for x in made if not isinstance(x, Bad)]
    assert [sorted(x["frame"].split("-")) for x in good] == [["000", "002"]]


def test_pairs_with_few_points_are_left_out():
    views = known_views("attic", 2)
    assert len(examples(views, Choice(min_points=40))) == 1
    assert examples(views, Choice(points=10**6, min_points=10**5)) == []


def test_a_depth_map_of_another_size_is_named(rng):
    one, two = (side.posed for side in sides(known_views("attic", 2)))
    small = PosedDepth(two.depth[::2, ::2], two.camera, two.c2w)
    with pytest.raises(BadInput, match="belongs to an image of 96x64"):
        correspondences(one, small, Choice(), rng)
