"""Every n-th pixel of an image, as a map of lower resolution."""

import math
from dataclasses import dataclass

import numpy as np

from vlm3_jax.errors import BadInput


@dataclass(frozen=True)
class Grid:
    """Cells of stride x stride pixels, counted from the image's first pixel.

    A cell stands for its middle pixel, stride // 2 from its first one; the cells whose middle is in
    the image make the map.
    """

    stride: int
    width: int
    """Of the image."""
    height: int

    def __post_init__(self):
        if self.stride < 1:
            raise BadInput(f"the stride is {self.stride}, but must be at least 1 pixel.")
        if self.rows == 0 or self.columns == 0:
            raise BadInput(
                f"a stride of {self.stride} leaves no point of an image of"
                f" {self.width}x{self.height} pixels: choose a smaller one."
            )

    @classmethod
    def of_about(cls, num_points: int, width: int, height: int) -> "Grid":
        """The grid whose number of cells is nearest to `num_points`, the finer of equals."""
        if num_points < 1:
            raise BadInput(f"{num_points} points are asked for, but at least 1 is needed.")
        coarsest = 2 * min(width, height) - 1
        near = math.sqrt(width * height / num_points)
        strides = range(max(1, math.floor(near) - 1), math.ceil(near) + 2)
        grids = [cls(min(stride, coarsest), width, height) for stride in strides]
        return min(
            grids, key=lambda grid: (abs(grid.rows * grid.columns - num_points), grid.stride)
        )

    @property
    def first(self) -> int:
        """Both x and y of the first cell's pixel."""
        return self.stride // 2

    @property
    def rows(self) -> int:
        """Cells down."""
        return len(range(self.first, self.height, self.stride))

    @property
    def columns(self) -> int:
        """Cells across."""
        return len(range(self.first, self.width, self.stride))

    def pixels(self) -> np.ndarray:
        """The pixel (x, y) of every cell, int64 [rows, columns, 2]."""
        y, x = np.mgrid[
            self.first : self.height : self.stride, self.first : self.width : self.stride
        ]
        return np.stack([x, y], axis=-1)
