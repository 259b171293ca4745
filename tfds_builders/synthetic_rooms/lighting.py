"""Light on surfaces: lamps with soft shadows baked into coarse maps, or the camera's own lamp."""

from dataclasses import dataclass

import numpy as np

from tfds_builders.synthetic_rooms.raycast import occluded
from tfds_builders.synthetic_rooms.scene import CEILING, Lamp, Scene
from tfds_builders.synthetic_rooms.solids import Solid, distance

CELLS_PER_METRE = 10.0
LAMP_SAMPLES = 5
# A gap this wide, metres, between two surfaces is darkened to 1/e of the most.
CONTACT_WIDTH = 0.12
CONTACT_DEPTH = 0.6
# Distance at which the camera's lamp has lost half of its light.
HEADLIGHT_METRES = 1.6
HEADLIGHT_POWER = 1.1


@dataclass(frozen=True, eq=False)
class LightMaps:
    """Light that falls on each face of the room, on a coarse grid with a cell beyond each edge.

    Attributes:
        grids: per face float32 [rows + 1, columns + 1], along `face_axes`.
    """

    grids: tuple[np.ndarray, ...]

    def lookup(self, face: int, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Blends the four cells around places u, v [N] in metres on a face."""
        grid = self.grids[face]
        rows, columns = grid.shape
        x = np.clip(u * np.float32(CELLS_PER_METRE), 0, columns - 1.001)
        y = np.clip(v * np.float32(CELLS_PER_METRE), 0, rows - 1.001)
        left, top = x.astype(np.int32), y.astype(np.int32)
        x, y = x - left, y - top
        flat, corner = grid.ravel(), top * columns + left
        upper = flat[corner] * (1 - x) + flat[corner + 1] * x
        lower = flat[corner + columns] * (1 - x) + flat[corner + columns + 1] * x
        return upper * (1 - y) + lower * y


def face_axes(face: int) -> tuple[int, int]:
    """The world axes that run along a face of the room: horizontal (u), then the other (v)."""
    return ((1, 2), (0, 2), (0, 1))[face // 2]


def bake(scene: Scene) -> LightMaps:
    """Works out the light on the six faces of the room, soft shadows included."""
    return LightMaps(tuple(_bake_face(scene, face) for face in range(6)))


def _bake_face(scene: Scene, face: int) -> np.ndarray:
    u_axis, v_axis = face_axes(face)
    columns, rows = (int(np.ceil(scene.size[a] * CELLS_PER_METRE)) + 1 for a in (u_axis, v_axis))
    points = np.empty((3, rows, columns), np.float32)
    points[u_axis] = np.minimum(np.arange(columns) / CELLS_PER_METRE, scene.size[u_axis])
    points[v_axis] = np.minimum(np.arange(rows) / CELLS_PER_METRE, scene.size[v_axis])[:, None]
    points[face // 2] = scene.size[face // 2] if face % 2 else 0
    points = points.reshape(3, -1)
    normal = np.zeros((3, 1), np.float32)
    normal[face // 2] = -1 if face % 2 else 1
    # Shadows come from what stands in the room, not from boards and pictures on its faces.
    casters = tuple(solid for solid in scene.solids if solid.name)
    light = np.zeros(points.shape[1], np.float32)
    for lamp in scene.lamps:
        direct = lamp_light(lamp, points, normal)
        light += direct if face == CEILING else direct * visible_share(lamp, points, casters)
    light += scene.ambient * contact(scene, points, without_face=face)
    return light.reshape(rows, columns)


def lamp_light(lamp: Lamp, points: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """Light of a lamp on points [3, N] with normals [3, N] that see all of it, [N]."""
    to_lamp = lamp.centre[:, None] - points
    square = (to_lamp * to_lamp).sum(0) + np.float32(lamp.radius**2)
    facing = np.maximum((to_lamp * normals).sum(0), 0)
    # The lamp shines down, and a little to its sides and onto the ceiling.
    down = np.float32(0.25) + np.float32(0.75) * np.maximum(to_lamp[2], 0) / np.sqrt(square)
    return np.float32(lamp.power) * facing * down / (square * np.sqrt(square))


def contact(scene: Scene, points: np.ndarray, without_face: int = -1, without: Solid | None = None):
    """Share of the ambient light that reaches points [3, N] past the surfaces close by, [N]."""
    open_share = np.ones(points.shape[1], np.float32)
    for axis in range(3):
        for face, gap in (
            (2 * axis, points[axis]),
            (2 * axis + 1, scene.size[axis] - points[axis]),
        ):
            if face != without_face:
                open_share *= _open(gap, 0.35, 2.5 * CONTACT_WIDTH)
    for solid in scene.solids:
        if solid.name and solid is not without:
            open_share *= _open(distance(solid, points), CONTACT_DEPTH, CONTACT_WIDTH)
    return open_share


def _open(gap, depth, width):
    return 1 - np.float32(depth) * np.exp(gap * np.float32(-1 / width))


def visible_share(lamp: Lamp, points: np.ndarray, casters: tuple[Solid, ...]) -> np.ndarray:
    """Share of a lamp's disc that points [3, N] see past the casters of shadow, [N]."""
    if not casters:
        return np.ones(points.shape[1], np.float32)
    # Lifted a little: what stands on a surface would let light through along it.
    origins = points + np.array([[0], [0], [1e-3]], np.float32)
    seen = np.zeros(points.shape[1], np.float32)
    for place in range(LAMP_SAMPLES):
        angle = 2 * np.pi * place / LAMP_SAMPLES
        offset = 0.8 * lamp.radius * np.array([np.cos(angle), np.sin(angle), 0])
        target = (lamp.centre + offset).astype(np.float32)[:, None]
        seen += ~occluded(casters, origins, target - origins)
    return seen / LAMP_SAMPLES


def casters_onto(scene: Scene, solid: Solid, lamp: Lamp) -> tuple[Solid, ...]:
    """The solids that may stand between a lamp and another solid."""
    way = lamp.centre - solid.centre
    casters = []
    for other in scene.solids:
        if not other.name or other is solid:
            continue
        offset = other.centre - solid.centre
        share = np.clip((offset @ way) / (way @ way), 0, 1)
        reach = max(solid.radius, lamp.radius) + other.radius
        if np.linalg.norm(offset - share * way) < reach:
            casters.append(other)
    return tuple(casters)


def headlight(distance_m: np.ndarray, facing: np.ndarray) -> np.ndarray:
    """Light of the camera's lamp: halved at HEADLIGHT_METRES, weakest on surfaces seen edge-on."""
    falloff = 1 / (1 + (distance_m / np.float32(HEADLIGHT_METRES)) ** 2)
    return np.float32(HEADLIGHT_POWER) * falloff * (np.float32(0.75) + np.float32(0.25) * facing)
