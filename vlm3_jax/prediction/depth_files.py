"""A depth map as the files that people open."""

import io

import numpy as np
from PIL import Image

from vlm3_jax.evaluation.colormap import depth_levels, paint
from vlm3_jax.geometry.camera import Camera, unproject, z_from_euclid

_LARGEST_MM = 0xFFFF
_VERTEX = np.dtype([("xyz", "<f4", 3), ("rgb", "u1", 3)])


def colour_range(metres: np.ndarray) -> tuple[float, float] | None:
    """The depths between which colours run: 2 and 98 percent of the map's; None without any."""
    known = metres[np.isfinite(metres)]
    if known.size == 0:
        return None
    low, high = np.percentile(known.astype(np.float64), (2, 98))
    return float(low), float(high)


def colour_png(
    metres: np.ndarray, limits: tuple[float, float] | None, stride: int, width: int, height: int
) -> bytes:
    """A picture to look at: near is red, far is blue, by the logarithm; grey has no value.

    Args:
        metres: [rows, columns], NaN where there is none.
        limits: see `colour_range`.
        stride: pixels that a cell becomes, each way.
        width: of the image, beyond which cells are cut.
        height: see `width`.
    """
    levels = np.full(metres.shape, np.nan) if limits is None else depth_levels(metres, limits)
    return level_png(levels, stride, width, height)


def level_png(levels: np.ndarray, stride: int, width: int, height: int) -> bytes:
    """A picture to look at: 1 is red, 0 is blue; grey has no value.

    Args:
        levels: [rows, columns], NaN where there is none.
        stride: see `colour_png`.
        width: see `colour_png`.
        height: see `colour_png`.
    """
    return _png(paint(levels).repeat(stride, axis=0).repeat(stride, axis=1)[:height, :width])


def millimetre_png(metres: np.ndarray) -> tuple[bytes, int]:
    """A 16-bit greyscale PNG in millimetres, 0 where there is no value.

    Returns:
        The file, and how many depths are beyond its 65.535 m and written as that. Depths under
        half a millimetre are written as 1.
    """
    known = np.isfinite(metres)
    millimetres = np.rint(np.where(known, metres, 0).astype(np.float64) * 1000)
    levels = np.where(known, np.clip(millimetres, 1, _LARGEST_MM), 0).astype(np.uint16)
    return _png(levels), int(np.count_nonzero(millimetres > _LARGEST_MM))


def npy(values: np.ndarray) -> bytes:
    """A NumPy file of float32 values, NaN where there is none."""
    buffer = io.BytesIO()
    np.save(buffer, values.astype(np.float32), allow_pickle=False)
    return buffer.getvalue()


def lift(camera: Camera, xy: np.ndarray, metres: np.ndarray, kind: str) -> np.ndarray:
    """Points [N, 3] of pixels [N, 2] in the camera's frame.

    Args:
        camera: of the image that the pixels are of.
        xy: pixels.
        metres: what is known of them, [N].
        kind: `euclid` for distances from the camera's centre, `z` for depths along its axis.
    """
    z = z_from_euclid(camera, xy, metres) if kind == "euclid" else metres
    return unproject(camera, xy, z)


def ply(points: np.ndarray, colours: np.ndarray) -> bytes:
    """A binary PLY point cloud.

    Args:
        points: metres on OpenCV's camera axes, [N, 3].
        colours: uint8 [N, 3].
    """
    header = (
        "ply",
        "format binary_little_endian 1.0",
        "comment metres; x right, y down, z forward from the camera's centre",
        f"element vertex {len(points)}",
        *(f"property float {axis}" for axis in "xyz"),
        *(f"property uchar {channel}" for channel in ("red", "green", "blue")),
        "end_header",
    )
    vertices = np.empty(len(points), _VERTEX)
    vertices["xyz"], vertices["rgb"] = points, colours
    return ("\n".join(header) + "\n").encode("ascii") + vertices.tobytes()


def _png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()
