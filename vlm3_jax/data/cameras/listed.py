"""Cameras listed by the names of their images."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.camera import Camera
from vlm3_jax.geometry.intrinsics import rescale


@dataclass(frozen=True)
class ListedCamera:
    """A camera as a file has it."""

    camera: Camera | None
    """Its pinhole part, where it has one."""
    source: str
    """Where it stands."""
    lens: str | None
    """What keeps it from being a pinhole camera; None where nothing does."""


def find_camera(
    cameras: Mapping[str, ListedCamera], image: Path, width: int, height: int
) -> tuple[Camera, str]:
    """Finds the camera of an image among those of a file, for the image's own size.

    An image is known by its file's name and, where several have it, by the folders above it.

    Args:
        cameras: by the images' paths as the file has them.
        image: path of the image.
        width: its size; the camera of an image of another size is scaled to it.
        height: see `width`.

    Returns:
        The camera, and where it stands.

    Raises:
        BadInput: there is no such image, there are several, the camera is no pinhole camera, or
            its image has another aspect ratio.
    """
    # The longest tail that the two paths have in common wins.
    parts = image.absolute().parts
    tails = {name: _common_tail(parts, name) for name in cameras if name.endswith(image.name)}
    longest = max(tails.values(), default=0)
    names = [name for name, tail in tails.items() if tail == longest > 0]
    # Images of one name may well share a camera.
    found = {(cameras[name].camera, cameras[name].lens): cameras[name] for name in names}
    if not found:
        example = next(iter(cameras), None)
        known = "it names none" if example is None else f"it names {example} and others"
        raise BadInput(f"--cameras names no image {image.name} ({known}): give this image's file.")
    if len(found) > 1:
        raise BadInput(
            f"--cameras names several images for {image} ({names[0]}, {names[1]}), each with its"
            " own camera: give the path under which one of them is listed."
        )
    (listed,) = found.values()
    if listed.lens is not None:
        raise BadInput(
            f"{listed.source} is no pinhole camera ({listed.lens}): undistort the images first"
            " (colmap image_undistorter), and give the undistorted ones with their cameras."
        )
    listed.camera.check(listed.source)
    try:
        camera = rescale(listed.camera, width, height)
    except BadInput as error:
        raise BadInput(f"{image} in {listed.source}: {error}") from error
    return camera, listed.source


def _common_tail(parts: tuple[str, ...], name: str) -> int:
    """How many of the last parts of two paths are equal."""
    count = 0
    for ours, theirs in zip(reversed(parts), reversed(PurePosixPath(name).parts), strict=False):
        if ours != theirs:
            break
        count += 1
    return count
