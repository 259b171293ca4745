"""The records of a scene: drawn, rendered and encoded from its split and number alone."""

import io
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from PIL import Image

from tfds_builders import pairs
from tfds_builders.synthetic_rooms.lighting import bake
from tfds_builders.synthetic_rooms.raycast import depth_at
from tfds_builders.synthetic_rooms.scene import Scene, furnished_room, plain_room
from tfds_builders.synthetic_rooms.views import (
    View,
    random_camera,
    random_pixels,
    random_pose,
    take,
)
from vlm3_jax.data.depth_maps import encode_depth
from vlm3_jax.geometry.correspondence import correspond, reproject
from vlm3_jax.geometry.covisibility import PosedDepth, covisibility, normalise, sample_pairs
from vlm3_jax.tasks import objects

NAME = "synthetic_rooms"
# Scenes of one split never appear in another: the split is part of a scene's seed.
SPLIT_SEEDS = {"train": 0, "validation": 1}
# A pair is kept when each view sees this share of the other, and enough points correspond.
MIN_COVISIBILITY, MIN_CORRESPONDENCES = 0.25, 10
# Metres by which the surface at a corresponding pixel may miss the point.
EXACT = 2e-3


@dataclass(frozen=True)
class Recipe:
    """What the records of a config are made of.

    Attributes:
        kind: 'views' for single views with the depth of points, 'pairs' for pairs of views,
            'regions' for single views with questions about boxes.
        furnished: rooms with lamps and textures, or plain ones lit by the camera.
        width: of the images, pixels.
        height: of the images, pixels.
        focals: shortest and longest focal length, pixels.
        median_depths: least and most of a view's wanted median depth, metres.
        margin: share of the room along its walls that no camera looks at.
        off_centre: most by which the principal point leaves the centre, as a share of the size.
        scenes: number of scenes of each split.
        views: taken of each scene.
        points: labelled in each view, or looked for in each pair; of regions the most questions.
        lenses: cameras that share the views of a scene.
        max_pairs: most pairs kept of a scene.
    """

    kind: str
    furnished: bool
    width: int
    height: int
    focals: tuple[float, float]
    median_depths: tuple[float, float]
    margin: float
    off_centre: float
    scenes: dict[str, int]
    views: int
    points: int
    lenses: int = 3
    max_pairs: int = 8


def scene_name(split: str, index: int) -> str:
    """The name of a scene."""
    return f"{split}_{index:05d}"


def scene_examples(recipe: Recipe, split: str, index: int) -> list[dict[str, Any]]:
    """Draws, renders and encodes all records of one scene."""
    rng, scene, views = render_scene(recipe, split, index)
    name = scene_name(split, index)
    if recipe.kind == "views":
        return [_view_example(rng, recipe, view, i, name) for i, view in enumerate(views)]
    if recipe.kind == "regions":
        asked = [_region_example(rng, recipe, view, i, name) for i, view in enumerate(views)]
        return [example for example in asked if example["questions"]]
    return _pair_examples(rng, recipe, scene, views, name)


def render_scene(
    recipe: Recipe, split: str, index: int
) -> tuple[np.random.Generator, Scene, list[View]]:
    """Draws a scene and takes its views; the generator goes on to draw its points."""
    rng = np.random.default_rng([SPLIT_SEEDS[split], index])
    scene = furnished_room(rng) if recipe.furnished else plain_room(rng)
    maps = bake(scene) if recipe.furnished else None
    cameras = [
        random_camera(rng, recipe.width, recipe.height, recipe.focals, recipe.off_centre)
        for _ in range(recipe.lenses)
    ]
    views = []
    for number in range(recipe.views):
        camera = cameras[number % recipe.lenses]
        pose = random_pose(rng, scene, camera, recipe.median_depths, recipe.margin)
        views.append(take(scene, maps, camera, pose))
    return rng, scene, views


def _view_example(rng, recipe: Recipe, view: View, number: int, name: str) -> dict[str, Any]:
    points = random_pixels(rng, view.camera, recipe.points)
    depth_map, depth_scale = encode_depth(view.depth)
    return {
        "image": _png(view.image),
        "intrinsics": view.camera.to_array(),
        "c2w": view.c2w,
        "points_xy": points.astype(np.float32),
        "depth_m": view.depth[points[:, 1], points[:, 0]],
        "label_kind": "z",
        "scale_type": "metric",
        "dataset": NAME,
        "scene": name,
        "frame": f"{number:02d}",
        "view": number,
        "depth_map": depth_map,
        "depth_scale": depth_scale,
        "boxes_xyxy": view.boxes_xyxy,
        "object_names": list(view.names),
    }


def _region_example(rng, recipe: Recipe, view: View, number: int, name: str) -> dict[str, Any]:
    found = objects.lift(view.boxes_xyxy, view.depth, view.camera)
    named = [thing and replace(thing, name=f"Region [{i}]") for i, thing in enumerate(found)]
    questions = objects.ask(named, recipe.points, rng)
    return {
        "image": _png(view.image),
        "intrinsics": view.camera.to_array(),
        "boxes_xyxy": view.boxes_xyxy,
        "questions": [question.prompt for question in questions],
        "answers": [question.answer for question in questions],
        "qa_types": [objects.qa_type(question.category) for question in questions],
        "categories": [question.category for question in questions],
        "scale_type": "metric",
        "dataset": NAME,
        "scene": name,
        "frame": f"{number:02d}",
    }


def _pair_examples(rng, recipe: Recipe, scene: Scene, views: list[View], name: str) -> list[dict]:
    sides = [
        pairs.View(f"{i:02d}", _png(view.image), PosedDepth(view.depth, view.camera, view.c2w))
        for i, view in enumerate(views)
    ]
    scores = covisibility([side.posed for side in sides])
    examples = []
    for first, second in sample_pairs(normalise(scores), rng, threshold=MIN_COVISIBILITY):
        if len(examples) == recipe.max_pairs:
            break
        matches = correspondences(rng, scene, views[first], views[second], recipe.points)
        if len(matches) >= MIN_CORRESPONDENCES:
            names = {"scale_type": "metric", "dataset": NAME, "scene": name}
            example = pairs.pair_example(
                sides[first], sides[second], matches, scores, (first, second)
            )
            examples.append(example | names)
    return examples


def correspondences(
    rng: np.random.Generator, scene: Scene, one: View, two: View, count: int
) -> np.ndarray:
    """Finds up to `count` whole pixels of view 1 and where view 2 sees the same surface points.

    Returns:
        x1, y1, x2, y2 a row, float32 [M, 4].
    """
    xy_1 = np.unique(random_pixels(rng, one.camera, 4 * count), axis=0)
    rng.shuffle(xy_1)
    z = one.depth[xy_1[:, 1], xy_1[:, 0]]
    cameras = one.camera, two.camera, one.c2w, two.c2w
    xy_2, seen = correspond(xy_1, z, *cameras, two.depth)
    xy_1, z, xy_2 = xy_1[seen], z[seen], xy_2[seen]
    # Pixels beside an occluder can agree by tolerance: a ray of the exact pixel settles it.
    _, z_2 = reproject(xy_1, z, *cameras)
    exact = np.abs(depth_at(scene, two.camera, two.c2w, xy_2) - z_2) < EXACT
    return np.hstack([xy_1, xy_2])[exact][:count].astype(np.float32)


def _png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="PNG", compress_level=3)
    return file.getvalue()
