"""Pairs of views of a scene with depth maps: chosen by covisibility, with exact correspondences."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfds_builders.items import Bad, attempt
from vlm3_jax.data.depth_maps import encode_depth
from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.correspondence import (
    ABSOLUTE_TOLERANCE_M,
    RELATIVE_TOLERANCE,
    correspond,
)
from vlm3_jax.geometry.covisibility import PosedDepth, normalise, sample_pairs


@dataclass(frozen=True, eq=False)
class View:
    """One side of a pair.

    Attributes:
        frame: names it within the scene.
        image: its file.
        posed: depth map, intrinsics and pose.
    """

    frame: str
    image: bytes
    posed: PosedDepth


@dataclass(frozen=True)
class Choice:
    """Which pairs of a scene become records, and what they hold.

    Attributes:
        threshold: both views' normalised covisibility is above it.
        max_pairs: most pairs of a scene; None for all.
        points: most correspondences of a pair.
        min_points: a pair with fewer is left out, as one that shares too little.
        absolute: by how much two depths of one surface may differ for a correspondence.
        relative: the same as a share of the depth, added to it.
    """

    threshold: float = 0.25
    max_pairs: int | None = None
    points: int = 50
    min_points: int = 1
    absolute: float = ABSOLUTE_TOLERANCE_M
    relative: float = RELATIVE_TOLERANCE


def scene_pairs(
    scores: np.ndarray,
    load: Callable[[int], View],
    choice: Choice,
    rng: np.random.Generator,
    names: dict[str, str],
    part: tuple[int, int] = (0, 1),
) -> Iterator[dict[str, Any] | Bad]:
    """Draws pairs of a scene and makes their records.

    Args:
        scores: raw covisibility of the scene's views, [N, N] (see `covisibility`).
        load: reads view i.
        choice: which pairs, and how many points.
        rng: seeded by the scene's name, so that the pairs do not depend on the process.
        names: `dataset`, `scene` and `scale_type` of the records.
        part: which part of the pairs to make, and of how many: large scenes are several items.

    Yields:
        Examples of `schema.pair_features`; what of a pair could not be read as `Bad`.
    """
    pairs = sample_pairs(normalise(scores), rng, choice.max_pairs, choice.threshold)
    for number, (i, j) in enumerate(pairs):
        seeds = rng.integers(2**63, size=2)  # Drawn here, whatever becomes of the pair.
        if number % part[1] != part[0]:
            continue
        made = attempt(
            f"{names['scene']}/{i}-{j}", _pair, scores, (i, j), load, choice, seeds, names
        )
        if made is not None:
            yield made


def _pair(scores, places, load, choice: Choice, seeds, names) -> dict[str, Any] | None:
    one, two = (load(place) for place in places)
    corr = correspondences(one.posed, two.posed, choice, np.random.default_rng(seeds))
    if len(corr) < choice.min_points:
        return None
    return pair_example(one, two, corr, scores, places) | names


def correspondences(
    one: PosedDepth, two: PosedDepth, choice: Choice, rng: np.random.Generator
) -> np.ndarray:
    """Finds whole pixels of view 1 and where view 2 sees the same surface points.

    Returns:
        x1, y1, x2, y2 a row, float32 [M, 4], M at most `choice.points`.

    Raises:
        BadInput: a depth map is not of its image's size.
    """
    for view in (one, two):
        if view.depth.shape != (view.camera.height, view.camera.width):
            raise BadInput(
                f"a depth map of {view.depth.shape[::-1]} pixels belongs to an image of"
                f" {view.camera.width}x{view.camera.height}; resize it first."
            )
    rows, columns = np.nonzero(one.depth > 0)
    chosen = rng.permutation(len(rows))
    found = np.zeros((0, 4), np.float32)
    # Most pairs share enough for the first batch; the rest is looked at only where they do not.
    for batch in np.array_split(chosen, max(1, len(chosen) // (8 * choice.points))):
        xy = np.stack([columns[batch], rows[batch]], -1)
        xy_2, seen = correspond(
            xy,
            one.depth[rows[batch], columns[batch]],
            *(one.camera, two.camera, one.c2w, two.c2w),
            two.depth,
            choice.absolute,
            choice.relative,
        )
        found = np.vstack([found, np.hstack([xy, xy_2])[seen].astype(np.float32)])
        if len(found) >= choice.points:
            break
    return found[: choice.points]


def pair_example(
    one: View, two: View, corr: np.ndarray, scores: np.ndarray, places: tuple[int, int]
) -> dict[str, Any]:
    """A record of `schema.pair_features` but for `dataset`, `scene` and `scale_type`.

    Args:
        one: view 1.
        two: view 2.
        corr: correspondences, float32 [M, 4].
        scores: raw covisibility of the scene's views, [N, N].
        places: of view 1 and view 2 among them.
    """
    normalised = normalise(scores)
    (i, j) = places
    example = {
        "corr": corr,
        "covisibility": np.array([scores[i, j], scores[j, i]], np.float32),
        "covisibility_normalised": np.array([normalised[i, j], normalised[j, i]], np.float32),
        "frame": f"{one.frame}-{two.frame}",
    }
    for side, view in (("1", one), ("2", two)):
        depth_map, depth_scale = encode_depth(view.posed.depth)
        example[f"image{side}"] = view.image
        example[f"intrinsics{side}"] = view.posed.camera.to_array()
        example[f"c2w{side}"] = view.posed.c2w
        example[f"depth_map{side}"] = depth_map
        example[f"depth_scale{side}"] = depth_scale
    return example
