"""Builds that are broken on purpose: each is found out, by a sentence."""

import re

import numpy as np
import pytest

from tests.tfds_builders.inspection import sets
from tests.tfds_builders.inspection.test_collect import inspected
from tfds_builders.inspection.findings import findings
from tfds_builders.schema import NO_POSE

OPENGL = np.diag([1.0, -1, -1, 1])
NO_MAP = {"depth_map": b""}


def found(folder, build, change) -> str:
    build(folder, change)
    return "\n".join(findings(inspected(folder)[0]))


def swapped_images(example):
    return example | {"image1": example["image2"], "image2": example["image1"]}


def swapped_poses(example):
    return example | {"c2w1": example["c2w2"], "c2w2": example["c2w1"]}


def depth_times_ten(example):
    return example | {f"depth_scale{side}": 10 * example[f"depth_scale{side}"] for side in "12"}


def flipped_matches(example):
    corr = example["corr"].copy()
    corr[:, [1, 3]] = 47 - corr[:, [1, 3]]
    return example | {"corr": corr}


def flipped_images(example):
    return example | {f"image{side}": sets.flipped(example[f"image{side}"]) for side in "12"}


def flipped_image(example):
    return example | {"image2": sets.flipped(example["image2"])}


def mirrored_images(example):
    return example | {
        f"image{side}": sets.flipped(example[f"image{side}"], axis=1) for side in "12"
    }


def opengl_poses(example):
    return example | {f"c2w{side}": example[f"c2w{side}"] @ OPENGL for side in "12"}


def inverted_poses(example):
    return example | {f"c2w{side}": np.linalg.inv(example[f"c2w{side}"]) for side in "12"}


def double_focal(example):
    scale = np.array([2.0, 2, 1, 1, 1, 1])
    return example | {f"intrinsics{side}": example[f"intrinsics{side}"] * scale for side in "12"}


def no_covisibility(example):
    return example | {"covisibility": np.zeros(2, np.float32)}


def nothing_to_match(example):
    return example | {"corr": np.zeros((0, 4), np.float32), "depth_map2": b""}


def same_pose(example):
    return example | {"c2w2": example["c2w1"]}


@pytest.mark.parametrize(
    ("change", "sentences"),
    [
        (swapped_images, ["little in common where they should show the same"]),
        (swapped_poses, [r"Correspondences are [\d.]+ pixels"]),
        (depth_times_ten, [r"Correspondences are [\d.]+ pixels", "Covisibilities differ by"]),
        (flipped_matches, [r"Correspondences are [\d.]+ pixels"]),
        (flipped_images, ["Pictures upside down have more in common"]),
        (mirrored_images, ["with left and right swapped have more in common"]),
        (flipped_image, ["little in common"]),
        (opengl_poses, [r"Correspondences are [\d.]+ pixels"]),
        (inverted_poses, [r"Correspondences are [\d.]+ pixels"]),
        (double_focal, [r"Correspondences are [\d.]+ pixels"]),
        (no_covisibility, [r"Every covisibility \(1 in 2\) is 0\.", "Covisibilities differ by"]),
        (nothing_to_match, ["100% of the pairs have no correspondences"]),
        (same_pose, ["12 pairs have the same pose twice"]),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_pairs(tmp_path, change, sentences):
    text = found(tmp_path, sets.build_pairs, change)
    for sentence in sentences:
        assert re.search(sentence, text), text


def millimetres(example):
    return example | {"depth_m": 1000 * example["depth_m"]} | NO_MAP


def labels_times_ten(example):
    return example | {"depth_m": 10 * example["depth_m"]}


def labels_times_ten_without_maps(example):
    return labels_times_ten(example) | NO_MAP


def opengl_pose(example):
    return example | {"c2w": example["c2w"] @ OPENGL} | NO_MAP


def euclid_for_z(example):
    return example | {"label_kind": "euclid"}


def one_depth(example):
    half = np.arange(len(example["depth_m"])) % 2 == 0
    return example | {"depth_m": np.where(half, np.float32(2), example["depth_m"])} | NO_MAP


def cut_off(example):
    return example | {"depth_m": np.minimum(example["depth_m"], np.float32(3.6))} | NO_MAP


def points_of_half_the_size(example):
    return example | {"points_xy": example["points_xy"] / 2} | NO_MAP | {"c2w": NO_POSE}


def focal_in_millimetres(example):
    return example | {"intrinsics": np.array([4.1, 4.1, 47, 30, 96, 64])}


def corner_as_centre(example):
    return example | {"intrinsics": np.array([70, 72, 0, 0, 96, 64.0])}


def intrinsics_of_another_size(example):
    return example | {"intrinsics": example["intrinsics"] * 2}


def one_key(example):
    return example | {"frame": "0"}


def other_split(example):
    return example | {"split": "test"}


def no_image(example):
    return example | {"image": b"\x89PNG no image"}


def half_an_image(example):
    return example | {"image": example["image"][: len(example["image"]) // 2]}


@pytest.mark.parametrize(
    ("change", "sentences"),
    [
        (millimetres, ["median depth is [0-9,]+ m: are they metres", "100% .* are beyond 200 m"]),
        (labels_times_ten, [r"differ from the depth maps by 900%"]),
        (labels_times_ten_without_maps, ["little in common"]),
        (opengl_pose, ["little in common"]),
        (euclid_for_z, [r"Labelled depths differ from the depth maps by \d"]),
        (one_depth, [r"50[.\d]*% of the points have the same depth, (2|1\.99)\."]),
        (cut_off, [r"exactly the largest, 3\.6|have the same depth, 3\.(6|59)"]),
        (points_of_half_the_size, [r"No points lie beyond 5\d", "image's height"]),
        (focal_in_millimetres, ["Cameras see from 170 to 170 degrees"]),
        (corner_as_centre, ["principal point of 100% of cameras"]),
        (
            intrinsics_of_another_size,
            ["20 images have another size", "is 96x64, its camera 192x128"],
        ),
        (one_key, ["18 records have the dataset, scene and frame of another one"]),
        (other_split, ["20 records name another split"]),
        (no_image, ["20 images do not open", "No point has a depth"]),
        (half_an_image, ["20 of 20 records do not decode; the first one: known/"]),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_views(tmp_path, change, sentences):
    text = found(tmp_path, sets.build_views, change)
    for sentence in sentences:
        assert re.search(sentence, text), text


def boxes_of_thousandths(example):
    return example | {"boxes_xyxy": (example["boxes_xyxy"] * 10).astype(np.float32)}


def one_box(example):
    return example | {"boxes_xyxy": example["boxes_xyxy"][:1]}


def unknown_category(example):
    return example | {"categories": ["depth_data", ""]}


def vague(example):
    return example | {"answers": ["It is some way off.", "Yes, it is."]}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (boxes_of_thousandths, "6 boxes leave their image"),
        (one_box, "4 questions cannot be asked; the first one: known/attic/0: .*region 1"),
        (unknown_category, "2 questions cannot be asked; .*'depth_data' is no category"),
        (vague, r"50% of the answers cannot be read by the rules"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_regions(tmp_path, change, sentence):
    text = found(tmp_path, sets.build_regions, change)
    assert re.search(sentence, text), text
