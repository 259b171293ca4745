"""How the camera moved between two images: from files to files."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from absl import logging

from vlm3_jax.data.shown import unified_camera
from vlm3_jax.errors import BadInput
from vlm3_jax.prediction import results
from vlm3_jax.prediction.images import read_photo
from vlm3_jax.prediction.intrinsics import CameraOptions, camera_finder
from vlm3_jax.prediction.request import Request
from vlm3_jax.tasks import pose


@dataclass(frozen=True, kw_only=True)
class PoseRequest(Request):
    """What `predict --task=pose` is asked."""

    images: tuple[Path, Path]
    camera: CameraOptions
    focal: float


def run(request: PoseRequest) -> dict[str, Any]:
    """Asks all four questions and writes what was said; everything is checked before the weights.

    Returns:
        The content of `prediction.json`.

    Raises:
        BadInput: an image, its camera or an option cannot be used; or there is no room.
    """
    photos = [read_photo(path) for path in request.images]
    if request.camera.fx is not None and photos[0].size != photos[1].size:
        sizes = " and ".join(f"{width}x{height}" for width, height in (p.size for p in photos))
        raise BadInput(
            f"--fx is in pixels of an image, but the images are {sizes}: give --fov or --cameras,"
            " or images of one size."
        )
    find = camera_finder(request.camera)
    known = [find(photo.path, photo.data, *photo.size) for photo in photos]
    for photo, (camera, _) in zip(photos, known, strict=True):
        unified_camera(camera, request.focal, str(photo.path))

    predictor = request.load(questions=len(pose.KINDS), focal=request.focal)
    moved = predictor.pose(*(photo.pixels for photo in photos), *(camera for camera, _ in known))
    logging.info(
        "the distance, and with it the translation, is in metres only where the checkpoint was"
        " trained on metric poses"
    )

    kinds, said = list(moved.said), list(moved.said.values())
    stated = [getattr(moved.stated, kind) for kind in kinds]
    result = {
        "task": "pose",
        "checkpoint": request.checkpoint,
        "images": [str(path) for path in request.images],
        "out": None if request.out is None else str(request.out),
        "cameras": [dataclasses.asdict(camera) for camera, _ in known],
        "camera_sources": [source for _, source in known],
        "focal": request.focal,
        **results.count_failures(request, said, stated, kinds),
        "angle_degrees": moved.stated.angle,
        "yaw_pitch_roll_degrees": moved.stated.yaw_pitch_roll,
        "direction": _listed(moved.direction),
        "distance_metres": moved.stated.distance,
        "rotation": _listed(moved.rotation),
        "translation_metres": _listed(moved.translation),
        "answers": [
            {"kind": kind, "stated": value, "answer": one.text, "finished": one.finished}
            for kind, value, one in zip(kinds, stated, said, strict=True)
        ],
    }
    results.write(request, result)
    return result


def _listed(array: np.ndarray | None) -> list | None:
    return None if array is None else array.tolist()
