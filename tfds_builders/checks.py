"""Checks of raw data that builders share: each raises BadInput that names the thing."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vlm3_jax.data.images import decode
from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.camera import Camera


def needed(raw: Path, *paths: str, builder: str) -> Path:
    """Checks that parts of the raw data are there.

    Args:
        raw: the folder that `--manual_dir` names.
        paths: files or folders in it; a pattern such as `*.jsonl` needs one match.
        builder: whose README tells what is needed.

    Returns:
        The first of the paths.
    """
    for path in paths:
        if not any(raw.glob(path)):
            raise BadInput(
                f"{raw / path} is missing; the section 'Manual download' of"
                f" tfds_builders/{builder}/README.md lists what --manual_dir must hold."
            )
    return raw / paths[0]


def inside(folder: Path, path: Any, name: str) -> Path:
    """A file that raw data name, unless the path leads out of the folder: `/etc/a`, `../a`.

    Args:
        folder: where it must be.
        path: what the raw data say.
        name: what names it.
    """
    if not isinstance(path, str) or Path(path).is_absolute() or ".." in Path(path).parts:
        raise BadInput(f"{name} names {path!r}, which is no path inside {folder}; fetch it anew.")
    return folder / path


def not_empty(things: Sequence[Any], name: str) -> None:
    """Checks that a scene, say, has frames; `name` tells what of which: 'the frames of scene a'."""
    if not len(things):
        raise BadInput(f"{name} are none; fetch them anew or leave them out.")


def read_image(path: Path, name: str, camera: Camera | None = None) -> bytes:
    """Reads an image file and checks that it decodes and has the size that its camera names.

    Args:
        path: of the file.
        name: what it is called in an error.
        camera: its intrinsics, if they are known.

    Returns:
        The file's bytes, unchanged.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadInput(
            f"{name} cannot be read ({error.strerror}); put it there or correct what names it."
        ) from error
    height, width = decode(data, name).shape[:2]
    if camera and (width, height) != (camera.width, camera.height):
        raise BadInput(
            f"{name} is {width}x{height}, but its intrinsics are of a"
            f" {camera.width}x{camera.height} image; correct them or resize it."
        )
    return data


def check_depth_map(depth: np.ndarray, camera: Camera, name: str) -> None:
    """Checks a depth map whose pixels without depth are 0.

    Args:
        depth: [H, W].
        camera: intrinsics of the image that it belongs to.
        name: what it is called in an error.
    """
    if depth.shape != (camera.height, camera.width):
        size = "x".join(map(str, depth.shape[::-1]))
        raise BadInput(
            f"{name} is {size}, but its image {camera.width}x{camera.height}; fetch both anew."
        )
    check_depths(depth, name)
    if not depth.any():
        raise BadInput(f"{name} has no depth anywhere; leave it out.")


def check_depths(depth: np.ndarray, name: str) -> None:
    """Checks that depths, of any shape, are finite and not negative."""
    for wrong, what in ((~np.isfinite(depth), "not finite"), (depth < 0, "negative")):
        if count := int(wrong.sum()):
            raise BadInput(
                f"{name} has {count} depths that are {what}, such as {depth[wrong][0]:g};"
                " fetch it anew."
            )
