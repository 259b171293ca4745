"""The pinhole camera: intrinsics, projection, and focal-length unification."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vlm3_jax.errors import BadInput


@dataclass(frozen=True)
class Camera:
    """Pinhole intrinsics in pixels: `u = fx X / Z + cx`, `v = fy Y / Z + cy`.

    An integer pixel index is the centre of its pixel (OpenCV), so no half pixel is added anywhere.
    """

    fx: float
    fy: float
    cx: float
    cy: float
    width: int
    height: int

    @classmethod
    def from_array(cls, values: Sequence[float] | np.ndarray, name: str = "intrinsics") -> "Camera":
        """Reads `fx, fy, cx, cy, W, H`, the order of DepthLM's JSONL files.

        Args:
            values: the six numbers.
            name: what they belong to, for the error.

        Raises:
            BadInput: there are not six numbers, or W or H is not a whole number.
        """
        values = [float(value) for value in values]
        if len(values) != 6 or not all(size.is_integer() for size in values[4:]):
            raise BadInput(
                f"{name}: {values} are not fx, fy, cx, cy, W, H with a whole width and height."
            )
        return cls(*values[:4], width=int(values[4]), height=int(values[5]))

    def to_array(self) -> np.ndarray:
        """Returns `fx, fy, cx, cy, W, H`, float64 [6]."""
        return np.array([self.fx, self.fy, self.cx, self.cy, self.width, self.height], np.float64)

    @property
    def matrix(self) -> np.ndarray:
        """The calibration matrix K, float64 [3, 3]."""
        return np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1]], np.float64)

    def check(self, name: str) -> None:
        """Raises BadInput that names `name` unless the camera can project."""
        for axis, value in (("fx", self.fx), ("fy", self.fy)):
            if not (math.isfinite(value) and value > 0):
                raise BadInput(f"{name}: {axis} is {value}; a focal length is a positive number.")
        if not (math.isfinite(self.cx) and math.isfinite(self.cy)):
            raise BadInput(f"{name}: the principal point ({self.cx}, {self.cy}) is not finite.")
        if self.width <= 0 or self.height <= 0:
            raise BadInput(f"{name}: the image size {self.width}x{self.height} is not positive.")


def unify_focal(camera: Camera, focal: float, per_axis: bool = False) -> Camera:
    """Returns the camera of the image resized until its focal length is `focal` pixels.

    Both axes are scaled by `focal / fx`, as VLM3's release does, so an image with fx != fy keeps
    its aspect ratio and its fy ends near `focal`. The new size is cut to whole pixels.

    Args:
        camera: intrinsics of the image as it is.
        focal: wanted focal length, pixels.
        per_axis: scale y by `focal / fy` instead, so that fx = fy = focal.

    Raises:
        BadInput: the resized image would have no pixel along an axis.
    """
    scale_x = focal / camera.fx
    scale_y = focal / camera.fy if per_axis else scale_x
    unified = Camera(
        fx=float(focal),
        # Written so that fx = fy stays exact.
        fy=float(focal) if per_axis else focal * (camera.fy / camera.fx),
        cx=camera.cx * scale_x,
        cy=camera.cy * scale_y,
        width=int(camera.width * scale_x),
        height=int(camera.height * scale_y),
    )
    if unified.width < 1 or unified.height < 1:
        raise BadInput(
            f"a {camera.width}x{camera.height} image with fx {camera.fx:g} and fy {camera.fy:g} "
            f"would be {unified.width}x{unified.height} at focal length {focal:g}; "
            "check its intrinsics."
        )
    return unified


def unproject(camera: Camera, xy: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Lifts pixels [..., 2] with depth z [...], metres along the optical axis, to [..., 3]."""
    xy, z = np.asarray(xy, np.float64), np.asarray(z, np.float64)
    x = (xy[..., 0] - camera.cx) / camera.fx * z
    y = (xy[..., 1] - camera.cy) / camera.fy * z
    return np.stack([x, y, z], axis=-1)


def project(camera: Camera, xyz: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Projects camera-frame points [..., 3] to pixels [..., 2] and depths z [...].

    Points at or behind the camera (z <= 0) get NaN pixels.
    """
    xyz = np.asarray(xyz, np.float64)
    z = xyz[..., 2]
    safe_z = np.where(z > 0, z, np.nan)
    x = camera.fx * xyz[..., 0] / safe_z + camera.cx
    y = camera.fy * xyz[..., 1] / safe_z + camera.cy
    return np.stack([x, y], axis=-1), z


def euclid_from_z(camera: Camera, xy: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Turns depth along the optical axis into distance from the camera's centre, [...]."""
    return np.linalg.norm(unproject(camera, xy, z), axis=-1)


def z_from_euclid(camera: Camera, xy: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """Turns distance from the camera's centre into depth along the optical axis, [...]."""
    distance = np.asarray(distance, np.float64)
    return distance / euclid_from_z(camera, xy, np.ones_like(distance))
