"""Which camera took an image: what the user says, else what the photo says, never a guess."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from vlm3_jax.data.cameras import colmap, exif, nerfstudio
from vlm3_jax.data.cameras.listed import find_camera
from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.camera import Camera
from vlm3_jax.geometry.intrinsics import centred, from_fov


@dataclass(frozen=True)
class CameraOptions:
    """What the user says of the camera; None where nothing is said."""

    fx: float | None = None
    """Focal lengths and principal point, in pixels of the image."""
    fy: float | None = None
    cx: float | None = None
    cy: float | None = None
    fov: float | None = None
    """Horizontal field of view, degrees."""
    cameras: str | None = None
    """Folder of a COLMAP reconstruction, or a `transforms.json` of nerfstudio."""

    def __post_init__(self):
        if self.fx is None:
            for name in ("fy", "cx", "cy"):
                if getattr(self, name) is not None:
                    raise BadInput(f"--{name} is given without --fx, the focal length in pixels.")
        ways = [f"--{name}" for name in ("fx", "fov", "cameras") if getattr(self, name) is not None]
        if len(ways) > 1:
            raise BadInput(f"{' and '.join(ways)} each give the camera: leave one of them out.")

    @property
    def given(self) -> bool:
        """Whether the user says anything."""
        return not (self.fx is None and self.fov is None and self.cameras is None)


class KnownCamera(NamedTuple):
    """A camera, and who says so."""

    camera: Camera
    source: str


CameraFinder = Callable[[Path, bytes, int, int], KnownCamera]
"""Finds the camera of an image from its path, the file's bytes, its width and height."""


def camera_finder(options: CameraOptions) -> CameraFinder:
    """The way to find cameras that the options ask for; without any, EXIF.

    The finder raises BadInput for an image whose camera is unknown, or can be none.

    Raises:
        BadInput: a file of cameras cannot be read.
    """
    if options.cameras is not None:
        path = Path(options.cameras)
        listed = colmap.read(path) if path.is_dir() else nerfstudio.read(path)
        return lambda image, data, *size: _checked(*find_camera(listed, image, *size), image)
    if options.fov is not None:
        return lambda image, data, *size: _checked(from_fov(options.fov, *size), "--fov", image)
    if options.fx is not None:
        return lambda image, data, *size: _checked(_from_flags(options, *size), "--fx", image)
    return lambda image, data, *size: _checked(*_from_exif(image, data), image)


def camera_if_known(
    options: CameraOptions, image: Path, data: bytes, width: int, height: int
) -> KnownCamera | None:
    """The camera of an image as the options or its EXIF tell it; None where both say nothing.

    Raises:
        BadInput: they say what can be no camera.
    """
    if not options.given:
        camera, source = exif.read_camera(data)
        return None if camera is None else _checked(camera, source, image)
    return camera_finder(options)(image, data, width, height)


def _checked(camera: Camera, source: str, image: Path) -> KnownCamera:
    camera.check(str(image))
    return KnownCamera(camera, source)


def _from_flags(options: CameraOptions, width: int, height: int) -> Camera:
    middle = centred(options.fx, options.fx, width, height)
    return Camera(
        fx=options.fx,
        fy=options.fx if options.fy is None else options.fy,
        cx=middle.cx if options.cx is None else options.cx,
        cy=middle.cy if options.cy is None else options.cy,
        width=width,
        height=height,
    )


def _from_exif(image: Path, data: bytes) -> tuple[Camera, str]:
    camera, source = exif.read_camera(data)
    if camera is None:
        raise BadInput(
            f"{image}: its camera is unknown, for {source}: give --fx (with --fy, --cx, --cy) in"
            " pixels, or --fov in degrees, or --cameras with files of COLMAP or nerfstudio, or the"
            " photo as taken, with its EXIF."
        )
    return camera, source
