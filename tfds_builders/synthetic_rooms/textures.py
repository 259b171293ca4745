"""Procedural textures: tileable grey patterns that a material's colour ramp turns into colour."""

import functools
from dataclasses import dataclass

import numpy as np

SIZE = 256  # Texels along a side of the finest level, a power of two.
NUM_LEVELS = 6

# Object colours by name, as sRGB.
COLOURS = {
    "red": (200, 40, 35),
    "green": (50, 150, 60),
    "blue": (45, 80, 190),
    "yellow": (235, 200, 50),
    "orange": (235, 125, 30),
    "purple": (125, 60, 160),
    "pink": (235, 130, 165),
    "cyan": (50, 185, 195),
    "white": (235, 235, 230),
    "black": (35, 35, 38),
    "brown": (120, 75, 45),
    "gray": (130, 130, 132),
}


@dataclass(frozen=True, eq=False)
class Material:
    """How a surface reflects light.

    Attributes:
        pattern: name of a grey pattern in `PATTERNS`.
        ramp: linear albedo for grey 0..255, float32 [256, 3].
        period: metres after which the pattern repeats.
        gloss: strength of the highlight, 0 for a matt surface.
        emission: light the surface gives off, 0 for all but lamps.
    """

    pattern: str
    ramp: np.ndarray
    period: float = 1.0
    gloss: float = 0.0
    emission: float = 0.0


def linear(srgb: tuple[float, float, float]) -> np.ndarray:
    """Turns sRGB 0..255 into linear light 0..1, float32 [3] (gamma 2, as the renderer's)."""
    return (np.array(srgb, np.float32) / 255) ** 2


def ramp(*stops: np.ndarray) -> np.ndarray:
    """Spreads linear colours evenly over grey 0..255 and blends between them, float32 [256, 3]."""
    places = np.linspace(0, 255, len(stops))
    channels = np.array(stops).T
    return np.stack([np.interp(np.arange(256), places, c) for c in channels], -1).astype(np.float32)


def shades(colour: np.ndarray, low: float, high: float) -> np.ndarray:
    """The ramp from `low` to `high` times one linear colour."""
    return ramp(colour * low, np.minimum(colour * high, 0.95))


def sample(pattern: str, u: np.ndarray, v: np.ndarray, footprint: np.ndarray) -> np.ndarray:
    """Looks a pattern up, blending four texels of the level that fits a pixel's footprint.

    Args:
        pattern: name in `PATTERNS`.
        u: horizontal place in periods, float32 [N].
        v: vertical place in periods, [N].
        footprint: width of a pixel on the surface in periods, [N].

    Returns:
        Grey in 0..1, float32 [N].
    """
    texels, offsets = _pyramid(pattern)
    level = np.log2(np.maximum(footprint * SIZE, 1)) + np.float32(0.3)
    level = np.minimum(level.astype(np.int32), NUM_LEVELS - 1)
    size = np.right_shift(SIZE, level)
    x, y = u * size - np.float32(0.5), v * size - np.float32(0.5)
    left, top = np.floor(x), np.floor(y)
    x, y = x - left, y - top
    left, top, last = left.astype(np.int32), top.astype(np.int32), size - 1
    right, bottom = (left + 1) & last, (top + 1) & last
    left, top = left & last, top & last
    base = offsets[level]
    top, bottom = base + top * size, base + bottom * size
    upper = texels[top + left] * (1 - x) + texels[top + right] * x
    lower = texels[bottom + left] * (1 - x) + texels[bottom + right] * x
    return upper * (1 - y) + lower * y


@functools.cache
def _pyramid(pattern: str) -> tuple[np.ndarray, np.ndarray]:
    """All levels of a pattern in one flat array, and where each begins."""
    # A pattern is the same in every scene and every process.
    rng = np.random.default_rng(sorted(PATTERNS).index(pattern))
    image = PATTERNS[pattern](rng).astype(np.float32)
    levels, offsets = [], []
    for _ in range(NUM_LEVELS):
        offsets.append(sum(level.size for level in levels))
        levels.append(image.ravel())
        image = image.reshape(image.shape[0] // 2, 2, image.shape[1] // 2, 2).mean((1, 3))
    return np.concatenate(levels), np.array(offsets, np.int32)


def _noise(rng: np.random.Generator, power: float, stretch: float = 1.0) -> np.ndarray:
    """Noise with spectrum 1 / f^power, which an FFT makes tileable; 0..1.

    A `stretch` above 1 draws it out along x, as grain.
    """
    fx = np.fft.fftfreq(SIZE)[None, :] * SIZE * stretch
    fy = np.fft.fftfreq(SIZE)[:, None] * SIZE
    frequency = np.maximum(np.hypot(fx, fy), 1)
    white = np.fft.fft2(rng.standard_normal((SIZE, SIZE)))
    noise = np.fft.ifft2(white / frequency**power).real
    low, high = np.quantile(noise, [0.005, 0.995])
    return np.clip((noise - low) / (high - low), 0, 1)


def _cells(columns: int, rows: int, gap: float, shift: float = 0.0):
    """Cuts the tile into cells; every other row is moved by `shift` of a cell.

    Returns:
        Row and column number of each texel, and its distance to the cell's edge beyond `gap`
        (0 in the gap, 1 inside, soft between), [SIZE, SIZE] each.
    """
    y, x = (np.mgrid[:SIZE, :SIZE] + 0.5) / SIZE
    row = np.floor(y * rows).astype(int)
    across = x * columns + shift * (row % 2)
    column = np.floor(across).astype(int) % columns
    edge_x = (0.5 - np.abs(across % 1 - 0.5)) / columns
    edge_y = (0.5 - np.abs(y * rows % 1 - 0.5)) / rows
    inside = np.clip((np.minimum(edge_x, edge_y) - gap) * SIZE + 0.5, 0, 1)
    return row, column, inside


def _plaster(rng):
    return 0.75 * _noise(rng, 1.2) + 0.25 * _noise(rng, 0.3)


def _carpet(rng):
    return 0.55 * _noise(rng, 0.15) + 0.45 * _noise(rng, 1.0)


def _planks(rng):
    row, column, inside = _cells(2, 8, 0.0025, shift=0.37)
    tone = rng.uniform(0.25, 0.85, (8, 2))[row, column]
    grain = _noise(rng, 1.0, stretch=12) - 0.5
    return np.clip(tone + 0.45 * grain, 0.12, 1) * inside


def _tiles(rng):
    row, column, inside = _cells(4, 4, 0.006)
    tone = rng.uniform(0.6, 0.85, (4, 4))[row, column]
    return (tone + 0.25 * (_noise(rng, 1.6) - 0.5)) * inside


def _bricks(rng):
    row, column, inside = _cells(4, 12, 0.008, shift=0.5)
    tone = rng.uniform(0.45, 0.95, (12, 4))[row, column]
    return np.clip(tone + 0.3 * (_noise(rng, 0.8) - 0.5), 0.35, 1) * inside


def _checker(rng):
    row, column, _ = _cells(4, 4, 0)
    return 0.08 + 0.8 * ((row + column) % 2) + 0.1 * _noise(rng, 1.0)


def _stripes(rng):
    x = (np.arange(SIZE) + 0.5) / SIZE
    wave = np.clip(0.5 + 6 * np.sin(2 * np.pi * 4 * x), 0, 1)
    return np.tile(0.1 + 0.75 * wave, (SIZE, 1)) + 0.1 * _noise(rng, 0.8)


def _dots(rng):
    y, x = (np.mgrid[:SIZE, :SIZE] + 0.5) / SIZE * 4
    row = np.floor(y)
    radius = np.hypot((x + 0.5 * (row % 2)) % 1 - 0.5, y % 1 - 0.5)
    return 0.1 + 0.8 * np.clip((0.28 - radius) * 40, 0, 1) + 0.1 * _noise(rng, 1.0)


def _marble(rng):
    y, x = np.mgrid[:SIZE, :SIZE] / SIZE
    veins = np.sin(2 * np.pi * (2 * x + y) + 9 * _noise(rng, 1.7))
    return 0.25 + 0.75 * np.abs(veins) ** 0.5 * (0.75 + 0.25 * _noise(rng, 1.0))


def _painting(rng):
    """Overlapping discs and bars on a ground of clouds, in a frame."""
    y, x = (np.mgrid[:SIZE, :SIZE] + 0.5) / SIZE
    image = 0.35 + 0.4 * _noise(rng, 1.8)
    for _ in range(9):
        centre_x, centre_y, size = *rng.uniform(0.1, 0.9, 2), rng.uniform(0.05, 0.22)
        shape = (
            np.hypot(x - centre_x, y - centre_y) < size
            if rng.random() < 0.6
            else (np.abs(x - centre_x) < size / 3) & (np.abs(y - centre_y) < 1.6 * size)
        )
        image = np.where(shape, 0.7 * rng.uniform(0.2, 1) + 0.3 * image, image)
    border = np.minimum(np.minimum(x, 1 - x), np.minimum(y, 1 - y)) < 0.06
    return np.where(border, 0.02, image)


def _plain(rng):
    return 0.5 + 0.5 * (_noise(rng, 1.0) - 0.5)


PATTERNS = {
    "bricks": _bricks,
    "carpet": _carpet,
    "checker": _checker,
    "dots": _dots,
    "marble": _marble,
    "painting": _painting,
    "plain": _plain,
    "planks": _planks,
    "plaster": _plaster,
    "stripes": _stripes,
    "tiles": _tiles,
}
