"""Images and depth questions at random points of them."""

from pathlib import Path

import numpy as np

from tfds_builders.depthlm_jsonl.jsonl import parse, places
from vlm3_jax.data.chat import Sample, Turn
from vlm3_jax.data.images import decode
from vlm3_jax.data.shown import unify
from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.camera import Camera
from vlm3_jax.tasks import depth

_CAMERA = Camera(fx=560.0, fy=560.0, cx=319.5, cy=239.5, width=640, height=480)

View = tuple[str, np.ndarray, Camera]
"""Name, uint8 [H, W, 3] and camera of an image."""


def draw_samples(
    folder: Path | None, num_images: int, questions: int, focal: float, seed: int
) -> tuple[Sample, ...]:
    """Samples of one image each, at the size at which the model sees it.

    Args:
        folder: JSONL files in DepthLM's format with the images they name; None makes images up.
        num_images: the first ones are taken.
        questions: turns of each sample.
        focal: focal length in pixels that images are resized to.
        seed: of the points, and of images that are made up.

    Raises:
        BadInput: the folder has too few images or bad ones.
    """
    rng = np.random.default_rng(seed)
    views = _made_up(rng, num_images) if folder is None else _read(folder, num_images)
    return tuple(_ask(view, questions, focal, rng) for view in views)


def _ask(view: View, questions: int, focal: float, rng: np.random.Generator) -> Sample:
    name, image, camera = view
    shown, unified = unify(image, camera, focal, name)
    points = rng.integers(0, (camera.width, camera.height), (questions, 2))
    turns = tuple(Turn(prompt) for prompt in depth.prompts(camera, unified, points))
    return Sample((shown,), turns, key=name)


def _made_up(rng: np.random.Generator, number: int) -> list[View]:
    """Images of blocks of many sizes and noise: different everywhere, and from each other."""
    views = []
    for i in range(number):
        pixels = rng.normal(128, 12, (_CAMERA.height, _CAMERA.width, 3))
        for side in (8, 32, 160):
            blocks = rng.normal(0, 25, (_CAMERA.height // side, _CAMERA.width // side, 3))
            pixels += blocks.repeat(side, 0).repeat(side, 1)
        views.append((f"image {i}", pixels.clip(0, 255).astype(np.uint8), _CAMERA))
    return views


def _read(folder: Path, number: int) -> list[View]:
    files = sorted(folder.glob("*.jsonl"))
    lines = [(file, parse(file, place)) for file in files for place in places(file)]
    if len(lines) < number:
        raise BadInput(
            f"--images={folder} names {len(lines)} images in {len(files)} *.jsonl files, but"
            f" --num_images is {number}: ask for fewer, or give a folder with more."
        )
    views = []
    for file, line in lines[:number]:
        path = file.parent / line.image
        try:
            image = decode(path.read_bytes(), str(path))
        except OSError as error:
            raise BadInput(
                f"{line.where}: the image {path} cannot be read ({error.strerror}); put it there or"
                " correct the line."
            ) from error
        camera = line.camera
        if image.shape[:2] != (camera.height, camera.width):
            raise BadInput(
                f"{line.where}: {path} is {image.shape[1]}x{image.shape[0]}, but its intrinsics are"
                f" of a {camera.width}x{camera.height} image; correct them or resize it."
            )
        views.append((line.image, image, camera))
    return views
