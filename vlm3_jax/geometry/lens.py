"""Lenses that bend rays: OpenCV's models of them on top of a pinhole camera."""

from dataclasses import dataclass

import numpy as np

from vlm3_jax.geometry.camera import Camera, project, unproject

_STEPS = 30


@dataclass(frozen=True)
class BrownLens:
    """Radial and tangential distortion, `k1, k2, p1, p2, k3` of OpenCV's calib3d.

    Attributes:
        camera: the pinhole part, of the bent image.
    """

    camera: Camera
    k1: float
    k2: float
    p1: float
    p2: float
    k3: float

    def bend(self, rays: np.ndarray) -> np.ndarray:
        """Where rays [..., 2], x/z and y/z, meet the bent image: pixels [..., 2]."""
        x, y = rays[..., 0], rays[..., 1]
        r2 = x * x + y * y
        radial = 1 + r2 * (self.k1 + r2 * (self.k2 + r2 * self.k3))
        bent_x = x * radial + 2 * self.p1 * x * y + self.p2 * (r2 + 2 * x * x)
        bent_y = y * radial + self.p1 * (r2 + 2 * y * y) + 2 * self.p2 * x * y
        return _pixels(self.camera, np.stack([bent_x, bent_y], axis=-1))

    def straighten(self, xy: np.ndarray, within: float = 0.01) -> np.ndarray:
        """Inverse of `bend`: rays [..., 2] of pixels [..., 2].

        NaN where the search ends more than `within` pixels off, which it does only where the model
        bends so much that it is not one to one.
        """
        target = _rays(self.camera, xy)
        rays = target.copy()
        with np.errstate(over="ignore", invalid="ignore"):
            for _ in range(_STEPS):
                rays += target - _rays(self.camera, self.bend(rays))
            off = np.abs(self.bend(rays) - xy).max(-1)
        return np.where((off < within)[..., None], rays, np.nan)


@dataclass(frozen=True)
class FisheyeLens:
    """OpenCV's fisheye model, `k1` to `k4`: the angle to the axis tells the distance to the centre.

    Attributes:
        camera: the pinhole part, of the bent image.
    """

    camera: Camera
    k1: float
    k2: float
    k3: float
    k4: float

    def bend(self, rays: np.ndarray) -> np.ndarray:
        """Where rays [..., 2], x/z and y/z, meet the bent image: pixels [..., 2]."""
        radius = np.linalg.norm(rays, axis=-1)
        bent, _ = self._radius(np.arctan(radius))
        scale = np.divide(bent, radius, out=np.ones_like(radius), where=radius > 0)
        return _pixels(self.camera, rays * scale[..., None])

    def straighten(self, xy: np.ndarray, within: float = 0.01) -> np.ndarray:
        """Inverse of `bend`: rays [..., 2] of pixels [..., 2], NaN where it finds none."""
        target = _rays(self.camera, xy)
        radius = np.linalg.norm(target, axis=-1)
        angle = radius.copy()
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            for _ in range(_STEPS):
                bent, slope = self._radius(angle)
                angle = np.clip(angle - (bent - radius) / slope, 0, np.pi / 2 - 1e-3)
            scale = np.divide(np.tan(angle), radius, out=np.ones_like(radius), where=radius > 0)
            rays = target * scale[..., None]
            off = np.abs(self.bend(rays) - xy).max(-1)
        return np.where((off < within)[..., None], rays, np.nan)

    def _radius(self, angle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Distance to the centre at an angle, for a focal length of 1, and its derivative."""
        a2 = angle * angle
        k1, k2, k3, k4 = self.k1, self.k2, self.k3, self.k4
        radius = angle * (1 + a2 * (k1 + a2 * (k2 + a2 * (k3 + a2 * k4))))
        return radius, 1 + a2 * (3 * k1 + a2 * (5 * k2 + a2 * (7 * k3 + a2 * 9 * k4)))


def _pixels(camera: Camera, rays: np.ndarray) -> np.ndarray:
    return project(camera, np.concatenate([rays, np.ones_like(rays[..., :1])], axis=-1))[0]


def _rays(camera: Camera, xy: np.ndarray) -> np.ndarray:
    return unproject(camera, xy, np.ones(np.shape(xy)[:-1]))[..., :2]
