import numpy as np
import pytest
import torch

from tests.tfds_builders.known_geometry import SCENES, known_views
from vlm3_jax.geometry.camera import Camera
from vlm3_jax.geometry.covisibility import (
    GROUND_TRUTH,
    MOGE,
    MULTI_VIEW_STEREO,
    PosedDepth,
    Tolerance,
    covisibility,
    normalise,
    sample_pairs,
)

CAMERA = Camera(fx=50, fy=50, cx=31.5, cy=23.5, width=64, height=48)
STRICT = Tolerance(0.02, 0.01, 0)


def wall(depth: float, x: float = 0, z: float = 0) -> PosedDepth:
    c2w = np.eye(4)
    c2w[:3, 3] = x, 0, z
    return PosedDepth(np.full((48, 64), depth), CAMERA, c2w)


def torch_score(one: PosedDepth, two: PosedDepth, size, tolerance) -> float:
    """The definition of datasets.md section 3, by torch's resizing and sampling."""
    width, height = size
    maps, matrices = [], []
    for view in (one, two):
        depth = torch.tensor(view.depth)[None, None]
        maps.append(torch.nn.functional.interpolate(depth, (height, width), mode="nearest")[0, 0])
        scale = np.diag([width / view.camera.width, height / view.camera.height, 1])
        matrices.append(scale @ view.camera.matrix)
    v, u = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    pixels = np.stack([u, v, np.ones_like(u)]).reshape(3, -1)
    rays = np.linalg.inv(matrices[0]) @ pixels * maps[0].numpy().ravel()
    world = one.c2w @ np.vstack([rays, np.ones(rays.shape[1])])
    points = matrices[1] @ (np.linalg.inv(two.c2w) @ world)[:3]
    z = torch.tensor(points[2])
    x, y = torch.tensor(points[0]) / z, torch.tensor(points[1]) / z
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height) & (z > 0.04)
    grid = torch.stack([2 * x / (width - 1) - 1, 2 * y / (height - 1) - 1], -1).clamp(-1, 1)
    there = torch.nn.functional.grid_sample(
        maps[1][None, None], grid[None, None], mode="nearest", align_corners=True
    )[0, 0, 0]
    absolute, relative, temperature = tolerance
    limit = absolute + relative * z - np.log(0.5) * temperature
    seen = inside & (maps[0].ravel() > 0) & ((z - there).abs() < limit)
    return float(seen.sum() / (height * width))


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize(
    ("size", "tolerance", "numbers"),
    [
        ((224, 149), GROUND_TRUTH, (0.1, 0.005, 0.1)),
        ((224, 224), MULTI_VIEW_STEREO, (0.5, 0.005, 0.5)),
        ((126, 224), MOGE, (0.4, 0.02, 0.4)),
    ],
)
def test_agrees_with_the_definition_in_torch(scene, size, tolerance, numbers, rng):
    views = []
    for view in known_views(scene, 4):
        holes = rng.random(view.depth.shape) < 0.1
        views.append(PosedDepth(np.where(holes, 0, view.depth), view.camera, view.c2w))
    scores = covisibility(views, tolerance, None if size == (224, 149) else size)
    expected = [[torch_score(one, two, size, numbers) for two in views] for one in views]
    # A pixel that lands half-way between two may be rounded to either; with itself a view loses
    # some of its edge pixels there, by rounding alone.
    others = ~np.eye(4, dtype=bool)
    expected = np.array(expected)
    np.testing.assert_allclose(scores[others], expected[others], atol=2 / (size[0] * size[1]))
    np.testing.assert_allclose(scores, expected, atol=0.02)
    assert scores.dtype == np.float32 and 0.3 < scores[0, 1] < 0.9 < 0.95 > scores[0, 0]


def test_half_of_a_wall():
    half = 32 * 2.0 / 50  # Disparity of half the width.
    scores = covisibility([wall(2.0), wall(2.0, x=half), wall(0.0)], STRICT)
    np.testing.assert_allclose(scores, [[1, 0.5, 0], [0.5, 1, 0], [0, 0, 0]], atol=1 / 100)


def test_a_score_has_a_direction():
    # View 2 is closer: it sees a quarter of what view 1 sees, and view 1 sees all of it.
    scores = covisibility([wall(2.0), wall(1.0, z=1.0)], STRICT)
    np.testing.assert_allclose(scores, [[1, 0.25], [1, 1]], atol=0.02)
    np.testing.assert_allclose(normalise(scores), [[0, 0.625], [0.625, 0]], atol=0.02)


def test_the_score_with_itself_is_the_share_of_pixels_with_depth():
    view = known_views(SCENES[0], 1)[0]
    depth = np.where(np.arange(96) < 24, 0, view.depth)
    assert covisibility([PosedDepth(depth, view.camera, view.c2w)]) == pytest.approx(0.75)


def test_normalised_by_the_share_of_pixels_with_depth():
    scores = np.array([[0.5, 0.2, 0], [0.4, 0.75, 0.1], [0, 0.1, 0.25]], np.float32)
    expected = [[0, 0.6, 0], [0.4, 0, 0.4 / 3], [0, 0.4, 0]]
    np.testing.assert_allclose(normalise(scores), expected, rtol=1e-6)
    assert normalise(np.zeros((2, 2), np.float32)).tolist() == [[0, 0], [0, 0]]


def test_pairs_are_those_above_the_threshold(rng):
    normalised = np.array(
        [[0, 0.9, 0.25, 0.3], [0.9, 0, 0.5, 0.2], [0.25, 0.5, 0, 0.8], [0.3, 0.6, 0.8, 0]]
    )
    pairs = sample_pairs(normalised, rng)
    assert {tuple(sorted(pair)) for pair in pairs} == {(0, 1), (0, 3), (1, 2), (2, 3)}
    assert len(pairs) == 4
    assert sample_pairs(normalised, np.random.default_rng(3), 2) == sample_pairs(
        normalised, np.random.default_rng(3), 2
    )
    orders = {tuple(sample_pairs(normalised, np.random.default_rng(i), 1)) for i in range(60)}
    assert len(orders) == 8  # Any pair, either view first.
    assert sample_pairs(normalised, rng, threshold=0.95) == []
    assert sample_pairs(np.zeros((1, 1)), rng) == []
