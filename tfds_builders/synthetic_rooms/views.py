"""Cameras in a room, and what a dataset keeps of each picture they take."""

from dataclasses import dataclass

import numpy as np

from tfds_builders.synthetic_rooms.lighting import LightMaps
from tfds_builders.synthetic_rooms.raycast import FIRST_SOLID, Hits, cast, first_hit
from tfds_builders.synthetic_rooms.scene import Scene
from tfds_builders.synthetic_rooms.shading import shade
from tfds_builders.synthetic_rooms.solids import distance
from vlm3_jax.geometry.camera import Camera, unproject

# A solid is named when this share of it, and this share of the image, can be seen.
VISIBLE_SHARE, IMAGE_SHARE = 0.4, 0.002
WALL_GAP, SOLID_GAP, NEAREST = 0.25, 0.3, 0.35  # Metres that a camera keeps.
EYES, GLANCES = 6, 6  # Places and directions from each that a pose is chosen from.


@dataclass(frozen=True, eq=False)
class View:
    """A picture and all that is known of it.

    Attributes:
        image: sRGB, uint8 [H, W, 3].
        depth: along the optical axis, metres, float32 [H, W].
        camera: intrinsics.
        c2w: pose, float64 [4, 4].
        boxes_xyxy: first and last column and row of each named solid, float32 [K, 4].
        names: of those solids.
    """

    image: np.ndarray
    depth: np.ndarray
    camera: Camera
    c2w: np.ndarray
    boxes_xyxy: np.ndarray
    names: tuple[str, ...]


def take(scene: Scene, maps: LightMaps | None, camera: Camera, c2w: np.ndarray) -> View:
    """Renders one view of a room."""
    hits = cast(scene, camera, c2w)
    image = shade(scene, maps, camera, c2w, hits)
    boxes, names = _named_boxes(scene, hits)
    return View(image, hits.depth, camera, c2w, boxes, names)


def random_camera(
    rng: np.random.Generator,
    width: int,
    height: int,
    focals: tuple[float, float],
    off_centre: float,
) -> Camera:
    """A lens: focal length spread evenly in its logarithm, principal point near the centre.

    Args:
        rng: source of chance.
        width: of the image, pixels.
        height: of the image, pixels.
        focals: shortest and longest focal length, pixels.
        off_centre: most by which the principal point leaves the centre, as a share of the size.
    """
    shortest, longest = focals
    focal = shortest * (longest / shortest) ** rng.uniform()
    shift_x, shift_y = rng.uniform(-off_centre, off_centre, 2)
    cx, cy = (width - 1) / 2 + shift_x * width, (height - 1) / 2 + shift_y * height
    return Camera(focal, focal, float(cx), float(cy), width, height)


def random_pose(
    rng: np.random.Generator,
    scene: Scene,
    camera: Camera,
    median_depths: tuple[float, float],
    margin: float,
) -> np.ndarray:
    """Draws a pose at eye height, clear of walls and solids.

    Among random poses it takes the one whose view's median depth comes closest to a wanted one, so
    that depths spread evenly and no view is filled by the nearest wall unless it should be.

    Args:
        rng: source of chance.
        scene: the room.
        camera: intrinsics.
        median_depths: least and most of the wanted median depth, metres, even in its logarithm.
        margin: share of the room along its walls that no camera looks at.

    Returns:
        Camera to world, float64 [4, 4].
    """
    wanted = np.exp(rng.uniform(*np.log(median_depths)))
    eyes = np.repeat(_clear_places(rng, scene, EYES), GLANCES, axis=0)
    poses = look_at(eyes, _targets(rng, scene, eyes, margin, wanted), rng.uniform(-0.05, 0.05))
    x, y = np.meshgrid([0.1, 0.5, 0.9], [0.1, 0.5, 0.9])
    xy = np.stack([x.ravel() * camera.width, y.ravel() * camera.height], -1)
    rays = unproject(camera, xy, np.ones(len(xy))) @ poses[:, :3, :3].swapaxes(-1, -2)
    rays = np.moveaxis(rays, -1, 0).astype(np.float32)  # [3, poses, 9]
    depths = first_hit(scene, eyes.T[:, :, None].astype(np.float32), rays)
    misfit = np.abs(np.log(np.median(depths, axis=1) / wanted)) + (depths.min(1) < NEAREST)
    misfit += 0.5 * (depths.max(1) < 1.5 * depths.min(1))  # A bare wall is a dull picture.
    return poses[misfit.argmin()]


def look_at(eye: np.ndarray, target: np.ndarray, roll: float = 0.0) -> np.ndarray:
    """Poses of cameras at `eye` [..., 3] that look at `target`, banked by `roll`, [..., 4, 4]."""
    forward = np.asarray(target, np.float64) - eye
    forward /= np.linalg.norm(forward, axis=-1, keepdims=True)
    right = np.cross(forward, [0, 0, 1])
    right /= np.linalg.norm(right, axis=-1, keepdims=True)
    down = np.cross(forward, right)
    c2w = np.zeros((*forward.shape[:-1], 4, 4))
    c2w[..., :3, 0] = np.cos(roll) * right + np.sin(roll) * down
    c2w[..., :3, 1] = np.cos(roll) * down - np.sin(roll) * right
    c2w[..., :3, 2], c2w[..., :3, 3], c2w[..., 3, 3] = forward, eye, 1
    return c2w


def _clear_places(rng: np.random.Generator, scene: Scene, count: int) -> np.ndarray:
    """Draws `count` places at eye height: those clear of solids, or the clearest, [count, 3]."""
    low = [WALL_GAP, WALL_GAP, 0.7]
    high = [*(scene.size[:2] - WALL_GAP), min(1.9, scene.size[2] - WALL_GAP)]
    places = rng.uniform(low, high, (8 * count, 3))
    gaps = [distance(solid, places.T) for solid in scene.solids if solid.name]
    too_close = np.maximum(SOLID_GAP - np.min(gaps, axis=0), 0)
    return places[np.argsort(too_close, kind="stable")[:count]]


def _targets(rng, scene: Scene, eyes: np.ndarray, margin: float, at_least: float) -> np.ndarray:
    """Draws places to look at, not at one's feet, for each of the eyes [N, 3]."""
    targets = scene.size * rng.uniform(margin, 1 - margin, eyes.shape)
    targets[:, 2] = rng.uniform(0.2, 1.3, len(eyes))
    flat = targets[:, :2] - eyes[:, :2]
    lengths = np.linalg.norm(flat, axis=1, keepdims=True) + 1e-6
    targets[:, :2] = eyes[:, :2] + flat * np.maximum(1, at_least / lengths)
    return targets


def random_pixels(
    rng: np.random.Generator, camera: Camera, count: int, border: int = 5
) -> np.ndarray:
    """Draws `count` whole pixels at least `border` from the image's edge, int64 [count, 2]."""
    high = [camera.width - border, camera.height - border]
    return rng.integers(border, high, (count, 2))


def _named_boxes(scene: Scene, hits: Hits) -> tuple[np.ndarray, tuple[str, ...]]:
    boxes, names = [], []
    counts = np.bincount(hits.surface.ravel(), minlength=FIRST_SOLID + len(scene.solids))
    enough = IMAGE_SHARE * hits.surface.size
    for index, solid in enumerate(scene.solids):
        visible = counts[FIRST_SOLID + index]
        if not solid.name or visible < max(enough, VISIBLE_SHARE * hits.covered[index]):
            continue
        mask = hits.surface == FIRST_SOLID + index
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        boxes.append((columns[0], rows[0], columns[-1], rows[-1]))
        names.append(solid.name)
    return np.array(boxes, np.float32).reshape(-1, 4), tuple(names)
