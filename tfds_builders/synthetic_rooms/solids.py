"""The three solids of a room and where rays and distances meet them.

World axes: x and y along the floor, z up, metres. Arrays of points and directions hold the
coordinate on their first axis: [3, ...].
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tfds_builders.synthetic_rooms.textures import Material


@dataclass(frozen=True, eq=False)
class Solid:
    """A box, ball or upright cylinder, turned about the vertical.

    Attributes:
        kind: 'box', 'ball' or 'cylinder'.
        centre: float32 [3].
        half: half its size along its own axes, float32 [3]; radius, radius, half the height of a
            cylinder; three times the radius of a ball.
        yaw: angle of its own x axis from the world's, radians.
        material: of its surface.
        name: as 'red box'; empty for what belongs to the room, such as a picture.
    """

    kind: str
    centre: np.ndarray
    half: np.ndarray
    yaw: float
    material: Material
    name: str = ""

    @cached_property
    def radius(self) -> float:
        """Radius of a ball around its centre that holds it."""
        return float(self.half[0] if self.kind == "ball" else np.linalg.norm(self.half))

    @cached_property
    def corners(self) -> np.ndarray:
        """The corners of its bounding box in the world, [8, 3]."""
        signs = np.stack(np.meshgrid(*[[-1, 1]] * 3), -1).reshape(8, 3)
        x, y, z = (signs * self.half).T
        cos, sin = np.cos(self.yaw), np.sin(self.yaw)
        return np.stack([cos * x - sin * y, sin * x + cos * y, z], -1) + self.centre


def to_local(solid: Solid, x, y, z) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Turns a vector's coordinates into the solid's own axes."""
    cos, sin = np.float32(np.cos(solid.yaw)), np.float32(np.sin(solid.yaw))
    return cos * x + sin * y, cos * y - sin * x, z


def to_world(solid: Solid, x, y, z) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Turns a vector's coordinates in the solid's own axes into the world's."""
    cos, sin = np.float32(np.cos(solid.yaw)), np.float32(np.sin(solid.yaw))
    return cos * x - sin * y, sin * x + cos * y, z


def interval(
    solid: Solid, origin: np.ndarray, direction: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Where rays enter and leave a solid, in lengths of their direction.

    Args:
        solid: the solid.
        origin: one origin [3], or one for each ray [3, ...].
        direction: [3, ...], of any length.

    Returns:
        Entry and exit, float32 [...]; a ray that misses has entry >= exit.
    """
    origin = origin.reshape(3, *[1] * (direction.ndim - 1)) if origin.ndim == 1 else origin
    offset = [origin[axis] - solid.centre[axis] for axis in range(3)]
    start, step = to_local(solid, *offset), to_local(solid, *direction)
    if solid.kind == "box":
        slabs = [_slab(start[a], step[a], solid.half[a]) for a in range(3)]
        return (
            np.maximum(np.maximum(slabs[0][0], slabs[1][0]), slabs[2][0]),
            np.minimum(np.minimum(slabs[0][1], slabs[1][1]), slabs[2][1]),
        )
    if solid.kind == "ball":
        return _quadratic(start, step, solid.half[0])
    side, caps = (
        _quadratic(start[:2], step[:2], solid.half[0]),
        _slab(start[2], step[2], solid.half[2]),
    )
    return np.maximum(side[0], caps[0]), np.minimum(side[1], caps[1])


def distance(solid: Solid, points: np.ndarray) -> np.ndarray:
    """Distance of points [3, ...] from the surface, 0 inside, metres."""
    x, y, z = to_local(solid, *(points[axis] - solid.centre[axis] for axis in range(3)))
    if solid.kind == "ball":
        return np.maximum(np.sqrt(x * x + y * y + z * z) - solid.half[0], 0)
    z = np.maximum(np.abs(z) - solid.half[2], 0)
    if solid.kind == "cylinder":
        x = np.maximum(np.sqrt(x * x + y * y) - solid.half[0], 0)
        return np.sqrt(x * x + z * z)
    x, y = np.maximum(np.abs(x) - solid.half[0], 0), np.maximum(np.abs(y) - solid.half[1], 0)
    return np.sqrt(x * x + y * y + z * z)


def surface(solid: Solid, points: np.ndarray):
    """Describes the surface at points that lie on it.

    Args:
        solid: the solid.
        points: [3, N].

    Returns:
        Outward normals [3, N], pattern coordinates u and v in metres [N], and the number of the
        face each point is on [N], int8 in 0..5 (a ball has one face, a cylinder three).
    """
    x, y, z = to_local(solid, *(points[axis] - solid.centre[axis] for axis in range(3)))
    radius = solid.half[0]
    if solid.kind == "ball":
        normal = np.stack([points[axis] - solid.centre[axis] for axis in range(3)]) / radius
        u, v = np.arctan2(y, x) * radius, np.arcsin(np.clip(z / radius, -1, 1)) * radius
        return normal, u, v, np.zeros(len(x), np.int8)
    if solid.kind == "cylinder":
        cap = np.abs(z) - solid.half[2] > np.sqrt(x * x + y * y) - radius
        local = (
            np.where(cap, 0, x / radius),
            np.where(cap, 0, y / radius),
            np.where(cap, np.sign(z), 0),
        )
        u = np.where(cap, x, np.arctan2(y, x) * radius)
        face = np.where(cap, np.where(z > 0, 2, 1), 0)
        return np.stack(to_world(solid, *local)), u, np.where(cap, y, z), face.astype(np.int8)
    beyond = np.stack([np.abs(p) - h for p, h in zip((x, y, z), solid.half, strict=True)])
    axis = beyond.argmax(0)
    signs = np.sign(np.choose(axis, (x, y, z)))
    local = [np.where(axis == a, signs, 0) for a in range(3)]
    u, v = np.where(axis == 0, y, x), np.where(axis == 2, y, z)
    face = 2 * axis + (signs > 0)
    return np.stack(to_world(solid, *local)), u, v, face.astype(np.int8)


def _slab(start, step, half):
    inverse = 1 / (step + np.float32(1e-20))
    middle, reach = -start * inverse, half * np.abs(inverse)
    return middle - reach, middle + reach


def _quadratic(start, step, radius):
    """Entry and exit of a ball (three coordinates) or an endless cylinder (two)."""
    a = sum(d * d for d in step) + np.float32(1e-20)
    b = sum(p * d for p, d in zip(start, step, strict=True))
    c = sum(p * p for p in start) - radius * radius
    root = b * b - a * c
    missed = root < 0
    root = np.sqrt(np.where(missed, 0, root))
    return np.where(missed, np.float32(np.inf), (-b - root) / a), (root - b) / a
