"""Casts a camera's rays into a scene: which surface each pixel sees, and how deep."""

from dataclasses import dataclass

import numpy as np

from tfds_builders.synthetic_rooms.scene import Scene
from tfds_builders.synthetic_rooms.solids import Solid, interval
from vlm3_jax.geometry.camera import Camera, unproject

FIRST_SOLID = 6  # Surfaces 0..5 are the faces of the room.


@dataclass(frozen=True, eq=False)
class Hits:
    """What the pixels of a view see.

    Attributes:
        rays: world directions with length 1 along the optical axis, float32 [3, H, W].
        depth: along the optical axis, metres, float32 [H, W].
        surface: 0..5 for a face of the room, 6 + k for solid k, int16 [H, W].
        covered: for each solid, how many pixels it would cover with nothing before it.
    """

    rays: np.ndarray
    depth: np.ndarray
    surface: np.ndarray
    covered: tuple[int, ...]


def cast(scene: Scene, camera: Camera, c2w: np.ndarray) -> Hits:
    """Casts one ray through the centre of each pixel.

    Args:
        scene: the room.
        camera: intrinsics.
        c2w: pose of the camera, inside the room and outside its solids, [4, 4].
    """
    origin, rays = c2w[:3, 3].astype(np.float32), _rays(camera, c2w)
    depth, surface = cast_room(scene, origin, rays)
    covered = []
    for index, solid in enumerate(scene.solids):
        window = _window(solid, camera, c2w)
        near, far = interval(solid, origin, rays[:, *window])
        hit = (near < far) & (near > 0)
        covered.append(int(hit.sum()))
        hit &= near < depth[window]
        np.copyto(depth[window], near, where=hit)
        np.copyto(surface[window], np.int16(FIRST_SOLID + index), where=hit)
    return Hits(rays, depth, surface, tuple(covered))


def cast_room(scene: Scene, origin: np.ndarray, rays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where rays [3, ...] from inside the empty room meet its faces: lengths and face numbers."""
    lengths, faces = None, None
    for axis in range(3):
        inverse = 1 / (rays[axis] + np.float32(1e-20))
        ahead = np.maximum((scene.size[axis] - origin[axis]) * inverse, -origin[axis] * inverse)
        face = (2 * axis + (inverse > 0)).astype(np.int16)
        if axis == 0:
            lengths, faces = ahead, face
        else:
            faces = np.where(ahead < lengths, face, faces)
            lengths = np.minimum(lengths, ahead)
    return lengths, faces


def depth_at(scene: Scene, camera: Camera, c2w: np.ndarray, xy: np.ndarray) -> np.ndarray:
    """Exact depth at pixels [N, 2] that need not be whole, metres [N]."""
    rays = unproject(camera, xy, np.ones(len(xy))) @ c2w[:3, :3].T
    return first_hit(scene, c2w[:3, 3:].astype(np.float32), rays.T.astype(np.float32))


def first_hit(scene: Scene, origins: np.ndarray, rays: np.ndarray) -> np.ndarray:
    """How many lengths of their ray [3, ...] origins [3, ...] are from what it meets first."""
    lengths, _ = cast_room(scene, origins, rays)
    for solid in scene.solids:
        near, far = interval(solid, origins, rays)
        lengths = np.where((near < far) & (near > 0), np.minimum(lengths, near), lengths)
    return lengths


def occluded(solids: tuple[Solid, ...], origins: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Whether a solid cuts the segments from `origins` [3, N] to `origins + steps`, bool [N]."""
    blocked = np.zeros(origins.shape[1], bool)
    for solid in solids:
        near, far = interval(solid, origins, steps)
        blocked |= (near < far) & (far > 0) & (near < 1)
    return blocked


def _rays(camera: Camera, c2w: np.ndarray) -> np.ndarray:
    x = ((np.arange(camera.width) - camera.cx) / camera.fx).astype(np.float32)
    y = ((np.arange(camera.height) - camera.cy) / camera.fy).astype(np.float32)
    r = c2w[:3, :3].astype(np.float32)
    # [3, 1, W] across + [3, H, 1] down + [3, 1, 1] forward.
    return r[:, :1, None] * x + (r[:, 1:2] * y)[:, :, None] + r[:, 2:3, None]


def _window(solid: Solid, camera: Camera, c2w: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns of the image outside of which the solid cannot be seen."""
    corners = (solid.corners - c2w[:3, 3]) @ c2w[:3, :3]
    z = corners[:, 2]
    if z.max() < 0.01:
        return slice(0, 0), slice(0, 0)
    if z.min() < 0.01:  # Some of it is beside or behind the camera.
        return slice(None), slice(None)
    x = corners[:, 0] / z * camera.fx + camera.cx
    y = corners[:, 1] / z * camera.fy + camera.cy
    left, right = _span(x, camera.width)
    top, bottom = _span(y, camera.height)
    return slice(top, bottom), slice(left, right)


def _span(places: np.ndarray, size: int) -> tuple[int, int]:
    """First pixel, and the one after the last, that may lie between the least and most place."""
    first, end = int(np.floor(places.min())), int(np.ceil(places.max())) + 1
    return min(max(first, 0), size), min(max(end, 0), size)
