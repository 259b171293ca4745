"""Random rooms: walls, lamps, pictures, and solids that stand on the floor or on each other."""

from dataclasses import dataclass

import numpy as np

from tfds_builders.synthetic_rooms.solids import Solid
from tfds_builders.synthetic_rooms.textures import COLOURS, Material, linear, ramp, shades

KINDS = ("box", "ball", "cylinder")
FLOOR, CEILING = 4, 5  # Faces of the room: 2 * axis, plus one on the far side of the axis.


@dataclass(frozen=True, eq=False)
class Lamp:
    """A round lamp under the ceiling that shines down.

    Attributes:
        centre: float32 [3].
        radius: metres; the larger, the softer the shadows.
        power: light at one metre straight below.
    """

    centre: np.ndarray
    radius: float
    power: float


@dataclass(frozen=True, eq=False)
class Scene:
    """A room from the origin to `size` and what is in it.

    Attributes:
        size: width, length and height, float32 [3].
        faces: materials of the six faces: walls x = 0 and x = width, y = 0 and y = length, floor
            and ceiling.
        solids: everything else that can be seen.
        lamps: empty where the only light is the camera's own.
        ambient: light from everywhere.
    """

    size: np.ndarray
    faces: tuple[Material, ...]
    solids: tuple[Solid, ...]
    lamps: tuple[Lamp, ...] = ()
    ambient: float = 0.0


def furnished_room(rng: np.random.Generator) -> Scene:
    """A lamp-lit room with random materials, pictures, a rug and seven to eleven solids."""
    size = np.array([*rng.uniform(4.0, 6.5, 2), rng.uniform(2.5, 3.1)], np.float32)
    wall, accent = _wall(rng), _wall(rng)
    walls = [accent if side == 0 else wall for side in rng.permutation(4)]
    faces = (*walls, _floor(rng), _material("plaster", (240, 238, 232), 0.92, 1.0))
    things = _place_solids(rng, size, rng.integers(7, 12), 0.14, 0.45, _decorated)
    decor = [*_skirting(rng, size), *_pictures(rng, size), *_rug(rng, size)]
    lamps, shades_ = _lamps(rng, size)
    return Scene(size, faces, (*things, *decor, *shades_), lamps, rng.uniform(0.2, 0.32))


def plain_room(rng: np.random.Generator) -> Scene:
    """A small room lit by the camera's lamp alone; a surface's kind decides its colour."""
    size = np.array([*rng.uniform(2.6, 6.0, 2), rng.uniform(2.3, 2.7)], np.float32)
    wall, floor, ceiling = (
        _material("plaster", (205, 200, 190), 0.9, 1.06),
        _material("checker", (170, 125, 80), 0.86, 1.1, period=4.0),
        _material("plaster", (150, 175, 205), 0.9, 1.06),
    )
    faces = (wall, wall, wall, wall, floor, ceiling)
    palette = {"box": "red", "ball": "green", "cylinder": "blue"}

    def painted(rng, kind, free):
        return palette[kind], _material("plain", COLOURS[palette[kind]], 0.9, 1.1)

    solids = _place_solids(rng, size, rng.integers(3, 7), 0.16, 0.4, painted)
    return Scene(size, faces, tuple(solids))


def _material(pattern, srgb, low, high, **options) -> Material:
    return Material(pattern, shades(linear(srgb), low, high), **options)


def _wall(rng) -> Material:
    tint = rng.uniform([150, 150, 145], [238, 232, 228])
    style = rng.choice(["plaster", "plaster", "stripes", "bricks", "dots"])
    if style == "bricks":
        brick = linear(rng.uniform([140, 70, 50], [190, 110, 80]))
        mortar = linear((190, 184, 174))
        return Material("bricks", ramp(mortar, brick * 0.55, brick, brick * 1.25), period=1.0)
    low = {"plaster": 0.82, "stripes": 0.78, "dots": 0.8}[style]
    return _material(style, tint, low, 1.04, period=rng.uniform(0.9, 1.5))


def _floor(rng) -> Material:
    style = rng.choice(["planks", "planks", "tiles", "carpet", "checker", "marble"])
    if style == "planks":
        wood = linear(rng.uniform([140, 90, 50], [205, 160, 110]))
        return Material("planks", ramp(wood * 0.15, wood * 0.6, wood, wood * 1.2), period=1.6)
    if style == "carpet":
        return _material("carpet", rng.uniform([70, 70, 80], [170, 150, 140]), 0.55, 1.3)
    light = linear(rng.uniform([185, 180, 170], [235, 232, 225]))
    if style == "checker":
        dark = linear(rng.uniform([40, 40, 45], [110, 90, 80]))
        return Material("checker", ramp(dark, light), period=rng.uniform(1.6, 2.4), gloss=0.15)
    if style == "tiles":
        return Material("tiles", ramp(light * 0.35, light * 0.7, light), period=1.6, gloss=0.15)
    return Material("marble", ramp(light * 0.35, light * 0.85, light), period=2.0, gloss=0.2)


def _decorated(rng, kind, free):
    """Draws a colour that no other solid of this kind has, and a pattern that keeps its name."""
    colour = str(rng.choice(sorted(free[kind])))
    free[kind].discard(colour)
    base = linear(COLOURS[colour])
    pattern = str(rng.choice(["plain", "plain", "stripes", "checker", "dots", "marble", "planks"]))
    low, high = {"plain": (0.85, 1.15), "planks": (0.45, 1.15), "marble": (0.45, 1.15)}.get(
        pattern, (0.42, 1.2)
    )
    gloss = rng.choice([0.0, 0.35, 0.8])
    period = rng.uniform(0.35, 0.8)
    return colour, Material(pattern, shades(base, low, high), period=period, gloss=float(gloss))


def _place_solids(rng, size, count, smallest, largest, decorate) -> list[Solid]:
    """Stands up to `count` solids on the floor, about a third of them on a box where one fits."""
    free = {kind: set(COLOURS) for kind in KINDS}
    solids, bases = [], []
    for _ in range(8 * count):
        if len(solids) == count:
            break
        kind = str(rng.choice(KINDS, p=[0.45, 0.25, 0.3]))
        radius = rng.uniform(smallest, largest)
        yaw = rng.choice([0.0, rng.uniform(-np.pi, np.pi)])
        if bases and rng.random() < 0.35:
            base = bases.pop(int(rng.integers(len(bases))))
            half = _half(rng, kind, min(radius, 0.8 * min(base.half[:2]) / 1.4), slim=False)
            centre = np.add(base.centre, (0, 0, base.half[2] + half[2]))
        else:
            half = _half(rng, kind, radius, slim=True)
            reach = np.hypot(*half[:2]) if kind == "box" else half[0]
            x, y = rng.uniform(reach + 0.05, size[:2] - reach - 0.05)
            centre = np.array([x, y, half[2]])
            if any(
                np.hypot(*(s.centre[:2] - centre[:2])) < np.hypot(*s.half[:2]) + reach + 0.05
                for s in solids
            ):
                continue
        colour, material = decorate(rng, kind, free)
        solid = Solid(
            kind,
            centre.astype(np.float32),
            half.astype(np.float32),
            float(yaw),
            material,
            f"{colour} {kind}",
        )
        solids.append(solid)
        if kind == "box" and centre[2] < half[2] + 1e-3:
            bases.append(solid)
    return solids


def _half(rng, kind, radius, slim) -> np.ndarray:
    if kind == "ball":
        return np.full(3, radius)
    height = radius * (rng.uniform(0.5, 2.2) if slim else rng.uniform(0.5, 1.3))
    if kind == "cylinder":
        return np.array([radius * 0.8, radius * 0.8, height])
    return np.array([radius, radius * rng.uniform(0.55, 1.4), height])


def _panel(kind, low, high, material) -> Solid:
    low, high = np.asarray(low, np.float32), np.asarray(high, np.float32)
    return Solid(kind, (low + high) / 2, (high - low) / 2, 0.0, material)


def _skirting(rng, size) -> list[Solid]:
    """A white or dark board along the foot of each wall."""
    board = _material("plain", (235, 233, 228) if rng.random() < 0.6 else (90, 60, 40), 0.9, 1.05)
    x, y, _ = size
    thick, tall = 0.015, rng.uniform(0.07, 0.12)
    return [
        _panel("box", (0, 0, 0), (thick, y, tall), board),
        _panel("box", (x - thick, 0, 0), (x, y, tall), board),
        _panel("box", (0, 0, 0), (x, thick, tall), board),
        _panel("box", (0, y - thick, 0), (x, y, tall), board),
    ]


def _pictures(rng, size) -> list[Solid]:
    """A painting on two or three of the walls."""
    paintings = []
    for face in rng.permutation(4)[: rng.integers(2, 4)]:
        side = rng.uniform(0.6, 1.1)
        colours = [linear(rng.uniform([20, 20, 20], [245, 240, 235])) for _ in range(5)]
        frame = linear((60, 40, 25)) if rng.random() < 0.5 else linear((25, 25, 25))
        canvas = Material("painting", ramp(frame, *colours), period=side)
        across, along = face // 2, 1 - face // 2
        centre, half = np.zeros(3), np.full(3, side / 2)
        centre[along] = rng.uniform(side, size[along] - side)
        centre[across] = 0.015 if face % 2 == 0 else size[across] - 0.015
        half[across] = 0.015
        centre[2] = min(rng.uniform(1.4, 1.7), size[2] - side / 2 - 0.1)
        paintings.append(_panel("box", centre - half, centre + half, canvas))
    return paintings


def _rug(rng, size) -> list[Solid]:
    if rng.random() < 0.35:
        return []
    half = rng.uniform([0.7, 0.7], size[:2] * 0.33)
    centre = size[:2] / 2 + rng.uniform(-0.3, 0.3, 2)
    colours = [linear(rng.uniform([50, 30, 30], [220, 200, 190])) for _ in range(3)]
    pattern = str(rng.choice(["stripes", "dots", "carpet", "checker"]))
    rug = Material(pattern, ramp(*colours), period=rng.uniform(0.8, 1.4))
    return [_panel("box", (*centre - half, 0), (*centre + half, 0.012), rug)]


def _lamps(rng, size) -> tuple[tuple[Lamp, ...], list[Solid]]:
    """One or two round lamps, and the discs one sees of them."""
    count = int(rng.integers(1, 3))
    glow = Material("plain", np.ones((256, 3), np.float32), emission=3.0)
    lamps, discs = [], []
    for index in range(count):
        share = (index + 0.5) / count
        x = size[0] * share + rng.uniform(-0.4, 0.4)
        y = size[1] * rng.uniform(0.35, 0.65)
        radius = rng.uniform(0.18, 0.3)
        centre = np.array([x, y, size[2] - 0.05], np.float32)
        lamps.append(Lamp(centre, radius, rng.uniform(4.2, 5.5) / count))
        low = np.subtract(centre, (radius, radius, 0))
        high = np.add(centre, (radius, radius, 0.05))
        discs.append(_panel("cylinder", low, high, glow))
    return tuple(lamps), discs
