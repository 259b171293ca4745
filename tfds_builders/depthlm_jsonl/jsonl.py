"""Reads and checks DepthLM's format: a JSON object a line for an image and its labelled points."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.camera import Camera


@dataclass(frozen=True)
class Line:
    """One image as a line describes it, checked as far as the image file need not be opened.

    Attributes:
        where: file and line number, for errors.
        number: of the line, from 1.
        image: path relative to the JSONL file.
        camera: its intrinsics.
        points_xy: float32 [N, 2], inside the image.
        depth_m: positive metres, float32 [N].
        label_kind: 'z' (the default) or 'euclid'.
    """

    where: str
    number: int
    image: str
    camera: Camera
    points_xy: np.ndarray
    depth_m: np.ndarray
    label_kind: str


@dataclass(frozen=True)
class Place:
    """Where a line is.

    Attributes:
        number: of the line, from 1.
        offset: of its first byte in the file.
        image: that it names, '' where it cannot be read so far.
    """

    number: int
    offset: int
    image: str


def places(path: Path) -> Iterator[Place]:
    """Finds the lines of a file; blank ones are passed over."""
    offset = 0
    with path.open("rb") as file:
        for number, text in enumerate(file, start=1):
            if text.strip():
                yield Place(number, offset, _image(text))
            offset += len(text)


def parse(path: Path, place: Place) -> Line:
    """Reads a line.

    Raises:
        BadInput: it is not usable; the message names the file, the line and what is wrong.
    """
    with path.open("rb") as file:
        file.seek(place.offset)
        return _parse(file.readline(), f"{path} line {place.number}", place.number)


def _image(text: bytes) -> str:
    try:
        values = json.loads(text)
    except (json.JSONDecodeError, UnicodeDecodeError):
        return ""
    image = _image_of(values) if isinstance(values, dict) else None
    return image if isinstance(image, str) else ""


def _image_of(values: dict[str, Any]) -> Any:
    # DepthLM's own Matterport script writes image_path where its loader wants image.
    return values.get("image", values.get("image_path"))


def _parse(text: bytes, where: str, number: int) -> Line:
    try:
        values = json.loads(text)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{where} is not JSON ({error}); write one JSON object a line.") from error
    if not isinstance(values, dict):
        raise BadInput(f"{where} is not a JSON object; write one with its keys and values.")
    image = _image_of(values)
    if image is None:
        raise BadInput(f"{where} lacks the key 'image'; give the image's path from this file.")
    if not isinstance(image, str):
        raise BadInput(f"{where}: 'image' is {image!r}; give a path as text.")
    camera = Camera.from_array(_numbers(values, "intrinsics", where, length=6), where)
    camera.check(where)
    return Line(
        where=where,
        number=number,
        image=image,
        camera=camera,
        points_xy=(points := _points(values, camera, where)),
        depth_m=_depths(values, len(points), where),
        label_kind=_label_kind(values, where),
    )


def _points(values: dict[str, Any], camera: Camera, where: str) -> np.ndarray:
    points = _list(values, "pixel_coords", where)
    if not points:
        raise BadInput(f"{where}: 'pixel_coords' is empty; give at least one point.")
    for index, point in enumerate(points):
        if not (isinstance(point, list) and len(point) == 2 and all(map(_is_number, point))):
            raise BadInput(f"{where}: point {index} is {point!r}; give two numbers, x and y.")
        if not (0 <= point[0] < camera.width and 0 <= point[1] < camera.height):
            raise BadInput(
                f"{where}: point {index} {tuple(point)} is outside the "
                f"{camera.width}x{camera.height} image; correct or remove it."
            )
    return np.array(points, np.float32)


def _depths(values: dict[str, Any], count: int, where: str) -> np.ndarray:
    depths = _numbers(values, "depth", where, length=count)
    for index, depth in enumerate(depths):
        if not (math.isfinite(depth) and depth > 0):
            raise BadInput(f"{where}: the depth of point {index} is {depth}; give positive metres.")
    return np.array(depths, np.float32)


def _label_kind(values: dict[str, Any], where: str) -> str:
    kind = values.get("label_kind", "z")
    if kind not in ("z", "euclid"):
        raise BadInput(f"{where}: 'label_kind' is {kind!r}; give 'z' or 'euclid'.")
    return kind


def _numbers(values: dict[str, Any], key: str, where: str, length: int) -> list[float]:
    numbers = _list(values, key, where)
    if len(numbers) != length:
        raise BadInput(f"{where}: '{key}' has {len(numbers)} values instead of {length}.")
    for number in numbers:
        if not _is_number(number):
            raise BadInput(f"{where}: '{key}' holds {number!r}; give numbers only.")
    return numbers


def _list(values: dict[str, Any], key: str, where: str) -> list:
    if key not in values:
        raise BadInput(f"{where} lacks the key '{key}'; every line needs it.")
    if not isinstance(values[key], list):
        raise BadInput(f"{where}: '{key}' is {values[key]!r}; give a list.")
    return values[key]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
