"""Pairs of views of TartanAir v2's rendered flights, from the raw download."""

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from tfds_builders import base, checks, schema
from tfds_builders.items import Bad, Item
from tfds_builders.pairs import Choice, View
from tfds_builders.posed_scenes import computed_pairs, posed_depth
from tfds_builders.tartanair import split_of, without_sky
from tfds_builders.well_formed import well_formed
from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.camera import Camera
from vlm3_jax.geometry.quaternion import pose_from_wxyz

# Columns: where the camera's right, down and forward point in axes forward, right, down.
_CAMERA_IN_BODY = np.array([[0, 0, 1, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]], np.float64)
_CAMERA = re.compile(r"image_([lr]cam_(?:front|back|left|right|top|bottom))")
_MAX_VIEWS = 96
_CHOICE = Choice(max_pairs=300)


class Builder(base.Builder):
    """Builder of tartanair_v2."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar = {"1.0.0": "First release."}
    HOMEPAGE = "https://tartanair.org"
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Give a folder with ENVIRONMENT/Data_*/P*/ that holds image_*cam_*/, depth_*cam_*/ and"
        " pose_*cam_*.txt."
    )

    def features(self) -> dict[str, Any]:
        """Pair records."""
        return schema.pair_features()

    def items(self, raw: Path) -> dict[str, list[Item]]:
        """One a flight."""
        checks.needed(raw, "*/Data_*/*/pose_*cam_*.txt", builder="tartanair_v2")
        splits: dict[str, list[Item]] = {}
        for flight in sorted({path.parent for path in raw.glob("*/Data_*/*/pose_*cam_*.txt")}):
            environment, difficulty, name = flight.relative_to(raw).parts
            key = f"{environment}-{difficulty.removeprefix('Data_')}-{name}"
            item = Item(key, str(flight.relative_to(raw)), _CHOICE.max_pairs)
            splits.setdefault(split_of(environment), []).append(item)
        return splits

    def examples(self, raw: Path, item: Item) -> Iterator[dict[str, Any] | Bad]:
        """Pairs of the flight."""
        flight = raw / item.data
        names = {"dataset": "tartanair_v2", "scene": item.key, "scale_type": "metric"}
        frames = _frames(flight)
        checks.not_empty(frames, f"the images of the pinhole cameras in {flight}")
        places = np.linspace(0, len(frames) - 1, min(len(frames), _MAX_VIEWS)).astype(int)
        chosen = {frames[place][0]: frames[place] for place in places}
        load = partial(_view, flight, item.data.partition("/")[0], chosen)
        yield from computed_pairs(list(chosen), load, _CHOICE, names)


def _frames(flight: Path) -> list[tuple[str, str, int]]:
    """Of each image its name, its camera, and which of the camera's images it is."""
    frames = []
    for folder in sorted(flight.iterdir()):
        if match := _CAMERA.fullmatch(folder.name):
            images = sorted(folder.glob("*.png"))
            frames += [(path.stem, match[1], number) for number, path in enumerate(images)]
    return frames


def _view(flight: Path, environment: str, frames: dict[str, tuple], frame: str) -> View:
    _, camera_name, number = frames[frame]
    path = flight / f"image_{camera_name}" / f"{frame}.png"
    depth_path = flight / f"depth_{camera_name}" / f"{frame}_depth.png"
    depth = without_sky(read_depth(depth_path), environment)
    camera = _right_angle(depth)
    c2w = _pose(flight / f"pose_{camera_name}.txt", number)
    image = checks.read_image(path, str(path), camera)
    return View(frame, image, posed_depth(depth, camera, c2w, f"{flight.name}/{frame}"))


def read_depth(path: Path) -> np.ndarray:
    """Reads float32 [H, W] from the four channels of a PNG."""
    with well_formed(str(path)), Image.open(path) as image:
        pixels = np.asarray(image)
    if pixels.ndim != 3 or pixels.shape[2] != 4:
        raise BadInput(f"{path} has no four channels; fetch it anew.")
    # OpenCV, which wrote them, has blue first.
    return np.ascontiguousarray(pixels[..., [2, 1, 0, 3]]).view("<f4")[..., 0]


def _right_angle(depth: np.ndarray) -> Camera:
    """A camera that sees 90 degrees both ways; its centre is the corner of the middle pixels."""
    height, width = depth.shape
    return Camera(width / 2, height / 2, width / 2, height / 2, width, height)


def _pose(path: Path, number: int) -> np.ndarray:
    with well_formed(str(path)):
        lines = path.read_text().split("\n")
        if number >= len(lines) or not lines[number].strip():
            raise BadInput(f"{path} has no line {number + 1} for the image; fetch both anew.")
        *translation, x, y, z, w = map(float, lines[number].split())
    return pose_from_wxyz((w, x, y, z), translation, f"{path} line {number + 1}") @ _CAMERA_IN_BODY
