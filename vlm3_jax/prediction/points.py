"""Which pixels of an image are asked about."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.grid import Grid
from vlm3_jax.geometry.pixels import check_points


@dataclass(frozen=True)
class Selection:
    """Pixels of one image."""

    points_xy: np.ndarray
    """[N, 2]."""
    grid: Grid | None
    """The grid that they are of; None where they are single points."""
    cells: np.ndarray | None
    """Which cells of the grid, bool [rows, columns]; the points are theirs, row by row."""


@dataclass(frozen=True)
class PointOptions:
    """One way to choose pixels."""

    points: str | None = None
    """The pixels themselves, "x,y x,y"."""
    points_file: str | None = None
    """File with a pixel a line: x and y with a comma or white space between."""
    stride: int | None = None
    """Every n-th pixel of every n-th row."""
    num_points: int | None = None
    """A regular grid of about so many."""
    mask: str | None = None
    """Image of the same size; of a grid only the points where it is not zero are asked about."""

    def __post_init__(self):
        ways = ("points", "points_file", "stride", "num_points")
        given = [f"--{name}" for name in ways if getattr(self, name) is not None]
        if not given:
            raise BadInput(
                'the task needs pixels to ask about: give --points="x,y x,y" or --points_file, or,'
                " for a map of --task=depth, --stride or --num_points."
            )
        if len(given) > 1:
            raise BadInput(f"{' and '.join(given)} each give the points: leave one of them out.")
        if self.mask is not None and not self.is_map:
            raise BadInput(f"--mask is given with {given[0]}: it is for --stride and --num_points.")
        for name in ("stride", "num_points"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise BadInput(f"--{name} is {getattr(self, name)}, but must be at least 1.")

    @property
    def is_map(self) -> bool:
        """Whether the points are a grid's."""
        return self.stride is not None or self.num_points is not None


class PointChooser:
    """Chooses pixels of images by one set of options; files are read once."""

    def __init__(self, options: PointOptions):
        """Raises BadInput where points or mask cannot be read."""
        self._options = options
        self._points = None
        if options.points is not None:
            self._points = parse_numbers(options.points, 2, "--points", "points", "x,y x,y")
        elif options.points_file is not None:
            self._points = _read_points(Path(options.points_file))
        self._mask = None if options.mask is None else _read_mask(Path(options.mask))

    def choose(self, width: int, height: int, name: str) -> Selection:
        """The pixels of an image of this size, called `name` in errors.

        Raises:
            BadInput: a point is outside the image, the mask is of another size, or none is left.
        """
        if self._points is not None:
            check_points(self._points, width, height)
            return Selection(self._points, None, None)
        if self._options.stride is not None:
            grid = Grid(self._options.stride, width, height)
        else:
            grid = Grid.of_about(self._options.num_points, width, height)
        pixels = grid.pixels()
        cells = np.ones((grid.rows, grid.columns), bool)
        if self._mask is not None:
            if self._mask.shape != (height, width):
                raise BadInput(
                    f"--mask={self._options.mask} is {self._mask.shape[1]}x{self._mask.shape[0]},"
                    f" but {name} is {width}x{height}: give a mask of the image's own size."
                )
            cells = self._mask[pixels[..., 1], pixels[..., 0]]
            if not cells.any():
                raise BadInput(
                    f"--mask={self._options.mask} leaves none of the {cells.size} points of"
                    f" {name}: it is zero at all of them; give another one or a finer grid."
                )
        return Selection(pixels[cells], grid, cells)


def parse_numbers(text: str, count: int, flag: str, what: str, form: str) -> np.ndarray:
    """Reads groups of numbers, float64 [N, count], of which there is at least one.

    Args:
        text: the groups with white space, their numbers with commas between.
        count: numbers of a group.
        flag: where they are from, for the error.
        what: what they are, for the error.
        form: how they are written, for the error.

    Raises:
        BadInput: the text is something else.
    """
    try:
        groups = [tuple(map(float, group.split(","))) for group in text.split()]
        numbers = np.array(groups).reshape(len(groups), count)
    except ValueError as error:
        raise BadInput(f'{flag}={text} are no {what}: give them as "{form}".') from error
    if not groups:
        raise BadInput(f'{flag}={text} holds no {what}: give them as "{form}".')
    return numbers


def _read_points(path: Path) -> np.ndarray:
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"--points_file={path} cannot be read ({error}).") from error
    points = []
    for number, line in enumerate(lines, start=1):
        fields = line.replace(",", " ").split()
        if not fields:
            continue
        try:
            x, y = map(float, fields)
        except ValueError as error:
            raise BadInput(
                f"--points_file={path}: line {number} is no point ({line.strip()[:40]!r}): write x"
                " and y there, in pixels."
            ) from error
        points.append((x, y))
    if not points:
        raise BadInput(f"--points_file={path} holds no points: write x and y, a point a line.")
    return np.array(points)


def _read_mask(path: Path) -> np.ndarray:
    """Where the mask is not zero, bool [H, W]; transparency counts for nothing."""
    try:
        with Image.open(path) as image:
            opaque = {"LA": "L", "PA": "P", "RGBA": "RGB"}.get(image.mode, image.mode)
            pixels = np.asarray(image.convert(opaque))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise BadInput(f"--mask={path} cannot be read ({error}): give a whole PNG.") from error
    return pixels.any(axis=-1) if pixels.ndim == 3 else pixels != 0
