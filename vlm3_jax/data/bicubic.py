"""Pillow's antialiased bicubic resize, compiled: its levels to the bit, straight into patches.

Pillow resizes the rows, rounds to uint8, and then resizes the columns, or columns first where that
saves work, with weights in fixed point (`src/libImaging/Resample.c`). Its weights, its rounding and
its order are kept here, so the levels are equal. What differs is how memory is walked: a row is
resized when a column first needs it and goes into a ring of as many rows as a column's filter
spans, which stays in the cache, and all loops run along contiguous memory, so that the compiler
vectorises them.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import PIL
from numba import njit

_PRECISION_BITS = 32 - 8 - 2  # Pillow's.
_HALF = 1 << (_PRECISION_BITS - 1)
_SUPPORT = 2.0  # Of the cubic filter, in pixels of the smaller image.
_TAPS = 4  # Weights that the loops take at a time.
_PILLOW = tuple(map(int, PIL.__version__.split(".")[:2]))
_TABLES = 1024  # Kept ones: about 20 kB for a side of 1216 pixels.


def resize(image: np.ndarray, width: int, height: int) -> np.ndarray:
    """Resizes uint8 [H, W, 3], to [height, width, 3]."""
    return resize_to_patches(image, height, width, 1, 1).reshape(height, width, 3)


def resize_to_patches(
    image: np.ndarray, rows: int, columns: int, patch_size: int, merge_size: int
) -> np.ndarray:
    """Resizes uint8 [H, W, 3] to a grid of patches, in the order of `ImageProcessor.patches`.

    Returns:
        uint8 [rows * columns, 3 * patch_size**2].
    """
    p, m = patch_size, merge_size
    out = np.empty((rows // m, columns // m, m, m, 3, p, p), np.uint8)
    image = np.ascontiguousarray(image)
    sizes = image.shape[1], columns * p, image.shape[0], rows * p
    across, down = _table(*sizes[:2]), _table(*sizes[2:])
    _resize(image, across.starts, across.weights, *down, _columns_first(*sizes), out)
    return out.reshape(rows * columns, 3 * p * p)


def _columns_first(width: int, new_width: int, height: int, new_height: int) -> bool:
    """Pillow's order of the passes, which depends on its version."""
    shorter = height - new_height
    if _PILLOW >= (13, 0):
        return shorter > max(0, 2 * (width - new_width))
    return _PILLOW >= (12, 2) and shorter > 0 and height > 100 * width


class _Table(NamedTuple):
    """The weights with which pixels of a line become those of a longer or shorter one."""

    starts: np.ndarray
    """int32 [n_out]: the first pixel of each sum."""
    counts: np.ndarray
    """int32 [n_out]: the pixels of each sum."""
    weights: np.ndarray
    """int32 [K, n_out]: fixed-point weights; K is a multiple of `_TAPS`, those not needed are 0."""


@lru_cache(maxsize=_TABLES)
def _table(n_in: int, n_out: int) -> _Table:
    """Pillow's `precompute_coeffs` and `normalize_coeffs_8bpc`, sums in the same order."""
    scale = n_in / n_out
    filter_scale = max(scale, 1.0)
    support = _SUPPORT * filter_scale
    centers = (np.arange(n_out) + 0.5) * scale
    starts = np.maximum((centers - support + 0.5).astype(np.int32), 0)
    counts = np.minimum((centers + support + 0.5).astype(np.int32), n_in) - starts
    taps = np.arange(-(-counts.max() // _TAPS) * _TAPS)[:, None]
    distances = (taps + starts - centers + 0.5) * (1.0 / filter_scale)
    weights = np.where(taps < counts, _cubic(distances), 0.0)
    weights /= np.cumsum(weights, axis=0)[-1]
    fixed = weights * (1 << _PRECISION_BITS) + np.where(weights < 0, -0.5, 0.5)
    return _Table(starts, counts, fixed.astype(np.int32))  # Cut towards zero, as C does.


def _cubic(x: np.ndarray, a: float = -0.5) -> np.ndarray:
    x = np.abs(x)
    near = ((a + 2.0) * x - (a + 3.0)) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * a
    return np.where(x < 1.0, near, np.where(x < 2.0, far, 0.0))


@njit(nogil=True)
def _round(total):
    return min(max(total >> _PRECISION_BITS, 0), 255)


@njit(nogil=True)
def _across(pixels, starts, weights, levels, quads, taken, sums, out):
    """One row [W, 3] to a row [3, width] (flat); the other four are room for lines."""
    width = len(starts)
    for channel in range(3):
        for x in range(len(pixels)):
            levels[x] = pixels[x, channel]
        # Four neighbours in one word, so that one load from a varying place brings all of them.
        for x in range(len(quads)):
            quads[x] = (
                levels[x] | (levels[x + 1] << 8) | (levels[x + 2] << 16) | (levels[x + 3] << 24)
            )
        sums[:width] = _HALF
        for tap in range(0, len(weights), _TAPS):
            a, b, c, d = weights[tap], weights[tap + 1], weights[tap + 2], weights[tap + 3]
            for x in range(width):
                taken[x] = quads[starts[x] + tap]
            for x in range(width):
                quad = np.uint32(taken[x])
                sums[x] += (
                    np.int32(quad & 255) * a[x]
                    + np.int32((quad >> 8) & 255) * b[x]
                    + np.int32((quad >> 16) & 255) * c[x]
                    + np.int32(quad >> 24) * d[x]
                )
        line = out[channel * width : (channel + 1) * width]
        for x in range(width):
            line[x] = _round(sums[x])


@njit(nogil=True)
def _down(ring, start, weights, sums, out):
    """Rows [N] of the ring to one row [N], with the weights of this row."""
    sums[: len(out)] = _HALF
    for tap in range(0, len(weights), _TAPS):
        row = start + tap
        a, b = ring[row % len(ring)], ring[(row + 1) % len(ring)]
        c, d = ring[(row + 2) % len(ring)], ring[(row + 3) % len(ring)]
        w, x, y, z = weights[tap], weights[tap + 1], weights[tap + 2], weights[tap + 3]
        for i in range(len(out)):
            sums[i] += (
                np.int32(a[i]) * w + np.int32(b[i]) * x + np.int32(c[i]) * y + np.int32(d[i]) * z
            )
    for i in range(len(out)):
        out[i] = _round(sums[i])


@njit(nogil=True)
def _put(line, y, out):
    """A row [3, width] (flat) into [block row, block column, row, column, channel, y, x]."""
    _, columns, merge, _, _, size, _ = out.shape
    pixels = line.reshape(3, columns, merge, size)
    if merge == 1 and size == 1:  # A loop over one pixel at a time would be slow.
        image = out.reshape(len(out), columns, 3)
        for x in range(columns):
            image[y, x, 0] = pixels[0, x, 0, 0]
            image[y, x, 1] = pixels[1, x, 0, 0]
            image[y, x, 2] = pixels[2, x, 0, 0]
        return
    patch_row, y = divmod(y, size)
    block_row, row = divmod(patch_row, merge)
    for channel in range(3):
        for block in range(columns):
            for column in range(merge):
                for x in range(size):
                    out[block_row, block, row, column, channel, y, x] = pixels[
                        channel, block, column, x
                    ]


def _resize_lines(image, x_starts, x_weights, y_starts, y_counts, y_weights, columns_first, out):
    """Resizes [H, W, 3] into the patches of `_put`."""
    height, n_in, _ = image.shape
    width = len(x_starts)
    levels = np.zeros(n_in + len(x_weights) + _TAPS, np.int32)
    quads = np.empty(n_in + len(x_weights), np.int32)
    taken = np.empty(width, np.int32)
    sums = np.empty(3 * max(n_in, width), np.int32)
    line = np.empty(3 * width, np.uint8)
    if columns_first:
        shrunk = np.empty(3 * n_in, np.uint8)
        for y in range(len(y_starts)):
            _down(image.reshape(height, 3 * n_in), y_starts[y], y_weights[:, y], sums, shrunk)
            pixels = shrunk.reshape(n_in, 3)
            _across(pixels, x_starts, x_weights, levels, quads, taken, sums, line)
            _put(line, y, out)
        return
    ring = np.zeros((len(y_weights), 3 * width), np.uint8)
    ready = 0  # Rows of the image that went into the ring.
    for y in range(len(y_starts)):
        end = y_starts[y] + y_counts[y]
        for row in range(ready, end):
            place = ring[row % len(ring)]
            _across(image[row], x_starts, x_weights, levels, quads, taken, sums, place)
        ready = end
        _down(ring, y_starts[y], y_weights[:, y], sums, line)
        _put(line, y, out)


def _compiled(function):
    # For read-only images too, which Pillow's are.
    signature = (
        "void(Array(uint8, 3, 'C', readonly=True), int32[::1], int32[:, ::1],"
        " int32[::1], int32[::1], int32[:, ::1], boolean, uint8[:, :, :, :, :, :, ::1])"
    )
    try:
        return njit(signature, nogil=True, cache=True)(function)
    except RuntimeError:  # There is no folder that could keep it: compiled in every process.
        return njit(signature, nogil=True)(function)


_resize = _compiled(_resize_lines)
