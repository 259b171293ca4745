"""Cameras of nerfstudio's `transforms.json` (docs.nerf.studio, data conventions)."""

import json
from pathlib import Path
from typing import Any

from vlm3_jax.data.cameras.listed import ListedCamera
from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.intrinsics import from_corner

_INTRINSICS = ("fl_x", "fl_y", "cx", "cy", "w", "h")
_DISTORTION = ("k1", "k2", "k3", "k4", "k5", "k6", "p1", "p2")
# Models that are pinhole cameras where the distortion is zero.
_PERSPECTIVE = ("SIMPLE_PINHOLE", "PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV", "FULL_OPENCV")


def read(path: Path) -> dict[str, ListedCamera]:
    """Reads the cameras of the frames by their `file_path`.

    What a frame does not say of itself is taken from the top of the file.

    Raises:
        BadInput: the file is not there, is no such JSON, or misses a number.
    """
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise BadInput(f"--cameras={path} is no readable JSON ({error}).") from error
    frames = content.get("frames") if isinstance(content, dict) else None
    if not isinstance(frames, list) or not all(
        isinstance(frame, dict) and isinstance(frame.get("file_path"), str) for frame in frames
    ):
        raise BadInput(
            f"--cameras={path} has no frames with a file_path: give a transforms.json of"
            " nerfstudio, or the folder of a COLMAP reconstruction."
        )
    return {frame["file_path"]: _listed(content | frame, path) for frame in frames}


def _listed(values: dict[str, Any], path: Path) -> ListedCamera:
    source = f"{path}, frame {values['file_path']}"
    try:
        fx, fy, cx, cy, width, height = (float(values[key]) for key in _INTRINSICS)
        distortion = {key: float(values.get(key, 0)) for key in _DISTORTION}
    except KeyError as error:
        raise BadInput(
            f"{source} has no {error.args[0]}: write {', '.join(_INTRINSICS)} there, or at the top"
            " of the file."
        ) from error
    except (TypeError, ValueError) as error:
        raise BadInput(
            f"{source}: its intrinsics are no numbers ({error}): correct them."
        ) from error
    model = values.get("camera_model", "OPENCV")
    bent = {key: value for key, value in distortion.items() if value}
    lens = None
    if model not in _PERSPECTIVE:
        lens = f"its model is {model}"
    elif bent:
        lens = "distortion " + ", ".join(f"{key} {value:g}" for key, value in bent.items())
    camera = from_corner(fx, fy, cx, cy, round(width), round(height))
    return ListedCamera(camera, source=source, lens=lens)
