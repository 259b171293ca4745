"""COLMAP's camera model THIN_PRISM_FISHEYE (src/colmap/sensor/models.h)."""

import numpy as np

_STEPS = 50
_CONVERGED_PX = 1e-3


def project(parameters: tuple[float, ...], xy: np.ndarray) -> np.ndarray:
    """Projects points (X/Z, Y/Z) of the camera's axes, [N, 2], to pixels [N, 2].

    Args:
        parameters: fx, fy, cx, cy, k1, k2, p1, p2, k3, k4, sx1, sy1.
        xy: the points.

    Returns:
        Pixels from the corner of the first one, as COLMAP counts them.
    """
    radius = np.linalg.norm(xy, axis=-1, keepdims=True)
    bent = xy * np.where(radius > 0, np.arctan(radius) / np.where(radius > 0, radius, 1), 1)
    focal, centre = np.array(parameters[:2]), np.array(parameters[2:4])
    return (bent + _shift(parameters, bent)) * focal + centre


def unproject(parameters: tuple[float, ...], pixels: np.ndarray) -> np.ndarray:
    """Inverse of `project`; NaN where no point within 90 degrees of the axis is found."""
    focal, centre = np.array(parameters[:2]), np.array(parameters[2:4])
    seen = (pixels - centre) / focal
    bent = seen
    with np.errstate(invalid="ignore", over="ignore"):  # Pixels that no point reaches diverge.
        for _ in range(_STEPS):
            bent = seen - _shift(parameters, bent)
        angle = np.linalg.norm(bent, axis=-1, keepdims=True)
        xy = bent * np.where(angle > 0, np.tan(angle) / np.where(angle > 0, angle, 1), 1)
        missed = np.linalg.norm(project(parameters, xy) - pixels, axis=-1, keepdims=True)
    return np.where((angle < np.pi / 2) & (missed < _CONVERGED_PX), xy, np.nan)


def _shift(parameters: tuple[float, ...], bent: np.ndarray) -> np.ndarray:
    """What radial, tangential and thin-prism terms add to points after the fisheye's bend."""
    k1, k2, p1, p2, k3, k4, sx1, sy1 = parameters[4:]
    x, y = bent[..., 0], bent[..., 1]
    square = x * x + y * y
    radial = square * (k1 + square * (k2 + square * (k3 + square * k4)))
    dx = x * radial + 2 * p1 * x * y + p2 * (square + 2 * x * x) + sx1 * square
    dy = y * radial + 2 * p2 * x * y + p1 * (square + 2 * y * y) + sy1 * square
    return np.stack([dx, dy], axis=-1)
