import numpy as np
import pytest

from tests.tfds_builders import pair_sets
from tfds_builders.items import Bad
from tfds_builders.pairs import Choice, View
from tfds_builders.posed_scenes import METRIC, computed_pairs, posed_depth, seeded, without_infinite
from vlm3_jax.errors import BadInput

NAMES = {"dataset": "known", "scene": "attic", "scale_type": "metric"}


def load(frame: str) -> View:
    if frame == "bad":
        raise BadInput("this frame is bad.")
    view = pair_sets.scenes()["attic"][int(frame)]
    return View(frame, view.file(), posed_depth(view.depth, view.camera, view.c2w, frame))


def made(frames, choice=METRIC):
    return list(computed_pairs(frames, load, choice, NAMES))


def test_a_bad_frame_is_given_once_and_changes_no_pair():
    good, with_bad = made(["000", "001", "002"]), made(["000", "bad", "001", "002"])
    bad, *rest = with_bad
    assert bad == Bad("attic/bad", "this frame is bad.")
    assert len(good) == len(rest) == 3
    for one, two in zip(good, rest, strict=True):
        assert one["frame"] == two["frame"]
        np.testing.assert_array_equal(one["corr"], two["corr"])


def test_frames_that_share_nothing_or_are_alone_give_no_pair():
    assert made(["000"]) == [] and made(["000", "001"], Choice(threshold=1.1)) == []
    assert [type(x) for x in made(["bad"])] == [Bad]


def test_a_scene_without_frames_is_named():
    with pytest.raises(BadInput, match="the frames of scene attic are none"):
        made([])


def test_seeds_follow_from_names():
    one, same, other = (seeded(name).random() for name in ("a", "a", "b"))
    assert one == same != other


def test_only_infinite_depths_become_zero():
    depth = without_infinite(np.array([1.5, np.inf, -np.inf, np.nan, -2.0]))
    np.testing.assert_array_equal(depth, np.array([1.5, 0, 0, np.nan, -2], np.float32))
    assert depth.dtype == np.float32


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"c2w": np.diag([1.0, 1, -1, 1])}, "here: pose is not rigid"),
        ({"depth": np.zeros((48, 64))}, "here: depth map has no depth anywhere"),
        ({"camera": pair_sets.CAMERA.__class__(0, 1, 1, 1, 64, 48)}, "here: intrinsics: fx is 0"),
    ],
)
def test_what_is_wrong_is_named(change, message):
    parts = {"depth": np.ones((48, 64)), "camera": pair_sets.CAMERA, "c2w": np.eye(4)}
    with pytest.raises(BadInput, match=message):
        posed_depth(**(parts | change), name="here")
