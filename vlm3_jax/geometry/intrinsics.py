"""Intrinsics from what photographers and other programs say of a camera."""

import math

from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.camera import Camera

_FULL_FRAME_DIAGONAL_MM = math.hypot(36, 24)


def centred(fx: float, fy: float, width: int, height: int) -> Camera:
    """A camera whose principal point is the middle of its image, ((W - 1) / 2, (H - 1) / 2)."""
    return Camera(fx, fy, (width - 1) / 2, (height - 1) / 2, width, height)


def from_fov(degrees: float, width: int, height: int) -> Camera:
    """A camera with square pixels from its horizontal field of view, from edge to edge.

    Raises:
        BadInput: the angle is not between 0 and 180 degrees.
    """
    if not 0 < degrees < 180:
        raise BadInput(f"the field of view is {degrees:g} degrees, but must be in 0 to 180.")
    focal = width / 2 / math.tan(math.radians(degrees) / 2)
    return centred(focal, focal, width, height)


def from_35mm(focal_mm: float, width: int, height: int) -> Camera:
    """A camera with square pixels from its 35 mm equivalent focal length.

    Equivalent is the lens that sees the same angle across the diagonal of a 36 x 24 mm frame
    (CIPA DCG-001), whatever the image's aspect ratio and way up.
    """
    focal = focal_mm * math.hypot(width, height) / _FULL_FRAME_DIAGONAL_MM
    return centred(focal, focal, width, height)


def from_corner(fx: float, fy: float, cx: float, cy: float, width: int, height: int) -> Camera:
    """A camera whose principal point was counted from the corner of the first pixel.

    COLMAP and nerfstudio put that pixel's centre at (0.5, 0.5); here it is (0, 0).
    """
    return Camera(fx, fy, cx - 0.5, cy - 0.5, width, height)


def rescale(camera: Camera, width: int, height: int) -> Camera:
    """The camera of the whole image resized to another size.

    Raises:
        BadInput: the new size has another aspect ratio, by more than its rounding to pixels.
    """
    scale_x, scale_y = width / camera.width, height / camera.height
    if abs(height - camera.height * scale_x) > 1 and abs(width - camera.width * scale_y) > 1:
        raise BadInput(
            f"its camera is that of a {camera.width}x{camera.height} image, of which one of"
            f" {width}x{height} is a crop and not a smaller copy: give its own intrinsics."
        )
    return Camera(
        fx=camera.fx * scale_x,
        fy=camera.fy * scale_y,
        cx=(camera.cx + 0.5) * scale_x - 0.5,
        cy=(camera.cy + 0.5) * scale_y - 0.5,
        width=width,
        height=height,
    )
