import numpy as np
import pytest

from tfds_builders.synthetic_rooms.examples import Recipe, render_scene
from tfds_builders.synthetic_rooms.lighting import bake, headlight
from tfds_builders.synthetic_rooms.raycast import FIRST_SOLID, cast, depth_at, occluded
from tfds_builders.synthetic_rooms.scene import Lamp, Scene
from tfds_builders.synthetic_rooms.solids import Solid, distance, interval, surface
from tfds_builders.synthetic_rooms.synthetic_rooms_dataset_builder import Builder
from tfds_builders.synthetic_rooms.textures import COLOURS, PATTERNS, Material, linear, ramp, sample
from tfds_builders.synthetic_rooms.views import look_at, take
from vlm3_jax.geometry.camera import Camera, project

WHITE = Material("plain", ramp(linear((200, 200, 200)), linear((255, 255, 255))))
RED = Material("plain", ramp(linear(COLOURS["red"]), linear(COLOURS["red"])))
CAMERA = Camera(100, 100, 63.5, 47.5, 128, 96)
VIEWS: Recipe = Builder.builder_configs["views"].recipe
QUICKSTART: Recipe = Builder.builder_configs["quickstart"].recipe


def solid(kind: str, centre, half, yaw: float = 0.0, name: str = "") -> Solid:
    return Solid(kind, np.float32(centre), np.float32(half), yaw, RED, name)


def room(*solids: Solid, lamps: tuple[Lamp, ...] = ()) -> Scene:
    return Scene(np.float32([4, 6, 3]), (WHITE,) * 6, solids, lamps, ambient=0.2)


SOLIDS = [
    solid("box", (0.3, -0.2, 0.1), (0.5, 0.3, 0.7), 0.6),
    solid("ball", (0.3, -0.2, 0.1), (0.6, 0.6, 0.6)),
    solid("cylinder", (0.3, -0.2, 0.1), (0.4, 0.4, 0.7), 1.0),
]


@pytest.mark.parametrize("thing", SOLIDS, ids=lambda s: s.kind)
def test_rays_meet_solids_where_their_distance_vanishes(thing, rng):
    # `distance` and `interval` share no formula: each checks the other.
    origins = rng.normal(size=(3, 4000)) * 3
    origins = origins[:, distance(thing, origins) > 0.1].astype(np.float32)
    targets = np.float32(thing.centre)[:, None] + rng.normal(size=origins.shape) * 0.6
    rays = (targets - origins).astype(np.float32)
    near, far = interval(thing, origins, rays)
    hit = (near < far) & (near > 0)
    assert 0.3 < hit.mean() < 0.95
    on_it = origins + near * rays
    np.testing.assert_allclose(distance(thing, on_it[:, hit]), 0, atol=2e-3)
    assert (distance(thing, (origins + 0.97 * near * rays)[:, hit]) > 0).all()
    # A ray that misses stays outside all along.
    for share in np.linspace(0, 2, 41):
        assert (distance(thing, (origins + share * rays)[:, ~hit]) > 0).all()


@pytest.mark.parametrize("thing", SOLIDS, ids=lambda s: s.kind)
def test_normals_are_the_gradient_of_the_distance(thing, rng):
    rays = rng.normal(size=(3, 300)).astype(np.float32)
    origins = (np.float32(thing.centre)[:, None] - 5 * rays / np.linalg.norm(rays, axis=0)).astype(
        np.float32
    )
    near, _ = interval(thing, origins, rays)
    points = origins + near * rays
    normals, *_ = surface(thing, points)
    outside = points + 0.05 * normals
    np.testing.assert_allclose(distance(thing, outside), 0.05, atol=3e-3)


def test_depth_of_an_empty_room_is_analytic():
    # From (2, 1, 1.5) along +y: the far wall is 5 m off, the side walls show at |x / z| > 2 / 5.
    hits = cast(room(), CAMERA, look_at(np.array([2, 1, 1.5]), np.array([2, 6, 1.5])))
    x = (np.arange(128) - 63.5) / 100
    y = (np.arange(96) - 47.5) / 100
    expected = np.minimum(5, np.minimum(2 / np.abs(x), 1.5 / np.abs(y)[:, None]))
    np.testing.assert_allclose(hits.depth, expected, rtol=1e-5)
    assert hits.surface[48, [0, 64, 127]].tolist() == [0, 3, 1]
    assert hits.surface[[0, 95], 64].tolist() == [5, 4]  # The ceiling is above the floor.


def test_pixels_agree_with_projection():
    scene = room(solid("ball", (1.5, 4, 1), (0.05, 0.05, 0.05), name="red ball"))
    c2w = look_at(np.array([2.3, 1, 1.6]), np.array([1.6, 4, 1.2]), roll=0.1)
    hits = cast(scene, CAMERA, c2w)
    rows, columns = np.nonzero(hits.surface == FIRST_SOLID)
    xy, z = project(CAMERA, (np.array([1.5, 4, 1]) - c2w[:3, 3]) @ c2w[:3, :3])
    np.testing.assert_allclose([columns.mean(), rows.mean()], xy, atol=0.5)
    assert hits.depth[rows, columns].min() == pytest.approx(z - 0.05, abs=5e-3)


def test_depth_between_pixels_agrees_with_the_map():
    _, scene, views = render_scene(VIEWS, "train", 3)
    view = views[0]
    xy = np.stack(np.meshgrid(np.arange(0, 320, 9), np.arange(0, 240, 7)), -1).reshape(-1, 2)
    exact = depth_at(scene, view.camera, view.c2w, xy)
    np.testing.assert_allclose(exact, view.depth[xy[:, 1], xy[:, 0]], rtol=1e-4)


def test_named_boxes_hold_what_is_seen_and_leave_out_what_is_hidden():
    ball = solid("ball", (2, 4, 1.5), (0.5, 0.5, 0.5), name="red ball")
    c2w = look_at(np.array([2, 1, 1.5]), np.array([2, 6, 1.5]))
    view = take(room(ball), None, CAMERA, c2w)
    assert view.names == ("red ball",)
    # The outline of a ball: tan(asin(0.5 / 3)) * 100 = 16.9 pixels about the centre.
    np.testing.assert_allclose(view.boxes_xyxy, [[63.5 - 16.9, 30.6, 80.4, 64.4]], atol=1.0)
    screen = solid("box", (2, 3, 1.5), (0.6, 0.05, 0.6), name="red box")
    assert take(room(ball, screen), None, CAMERA, c2w).names == ("red box",)


def test_occluded_sees_only_what_lies_between():
    thing = solid("box", (2, 3, 1), (0.2, 0.2, 0.2))
    origins = np.float32([[2, 2, 2], [1, 1, 1], [1, 1, 2]]).T.copy().reshape(3, 3)
    origins = np.float32([[2, 1, 1], [2, 1, 1], [2, 1, 2]]).T
    steps = np.float32([[0, 4, 0], [0, 1, 0], [0, 4, 0]]).T
    assert occluded((thing,), origins, steps).tolist() == [True, False, False]


def test_lamps_throw_shadows_on_the_floor():
    lamp = Lamp(np.float32([2, 3, 2.95]), 0.2, 5.0)
    table = solid("box", (2, 3, 0.6), (0.5, 0.5, 0.05), name="red box")
    lit, shaded = (
        bake(room(*things, lamps=(lamp,))).lookup(4, np.float32([2, 0.5]), np.float32([3, 3]))
        for things in ((), (table,))
    )
    assert shaded[0] < 0.5 * lit[0]
    assert shaded[1] == pytest.approx(lit[1], rel=0.05)


def test_the_headlight_darkens_with_distance():
    light = headlight(np.float32([0.5, 1, 2, 4, 8]), np.ones(5, np.float32))
    assert (np.diff(light) < 0).all()
    assert light[0] > 10 * light[-1]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_patterns_are_grey_and_repeat(pattern, rng):
    u, v = rng.uniform(-2, 2, (2, 500)).astype(np.float32)
    near, far = np.full(500, 1e-4, np.float32), np.full(500, 1.0, np.float32)
    grey = sample(pattern, u, v, near)
    assert grey.min() >= 0 and grey.max() <= 1 and grey.std() > 0.01
    np.testing.assert_allclose(grey, sample(pattern, u + 1, v - 2, near), atol=0.05)
    # Far away only its mean is left.
    assert sample(pattern, u, v, far).std() < grey.std()


def test_look_at_gives_opencv_axes(rng):
    eyes, targets = rng.uniform(0, 4, (2, 5, 3))
    for eye, target, c2w in zip(eyes, targets, look_at(eyes, targets), strict=True):
        np.testing.assert_allclose(c2w[:3, :3] @ c2w[:3, :3].T, np.eye(3), atol=1e-12)
        assert np.linalg.det(c2w[:3, :3]) == pytest.approx(1)
        in_camera = c2w[:3, :3].T @ (target - eye)
        np.testing.assert_allclose(in_camera[:2], 0, atol=1e-12)
        assert in_camera[2] > 0 and c2w[2, 1] < 0  # Ahead, and y points down.
        np.testing.assert_array_equal(c2w, look_at(eye, target))


def test_scenes_are_varied_and_their_names_are_unique():
    for index in range(3):
        _, scene, views = render_scene(VIEWS, "train", index)
        names = [thing.name for thing in scene.solids if thing.name]
        assert len(set(names)) == len(names) >= 3
        assert len({view.camera.fx for view in views}) == VIEWS.lenses
        assert any(view.names for view in views)
        for view in views:
            assert view.image.std() > 5
            assert view.depth.min() > 0.1 and view.depth.max() < 10
            floor_to_ceiling = view.c2w[:3, 3] > (0, 0, 0)
            assert np.all(floor_to_ceiling & (view.c2w[:3, 3] < scene.size))


def test_no_constant_tells_the_quickstarts_depths():
    # What a model must beat: the best constant stays low only while depths are spread.
    depths = [
        v.depth[::7, ::7].ravel()
        for i in range(12)
        for v in render_scene(QUICKSTART, "train", i)[2]
    ]
    depths = np.concatenate(depths)
    constants = np.linspace(0.5, 6, 200)[:, None]
    delta1 = (np.maximum(constants / depths, depths / constants) < 1.25).mean(1).max()
    assert delta1 < 0.4
    assert np.quantile(depths, 0.15) > 0.7 and np.quantile(depths, 0.9) < 4.7
