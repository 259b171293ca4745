"""Scenes whose frames have a picture, a depth map and a pose each: read, checked and paired."""

import io
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from PIL import Image

from tfds_builders.checks import check_depth_map, not_empty
from tfds_builders.items import Bad, attempt
from tfds_builders.pairs import Choice, View, scene_pairs
from vlm3_jax.geometry.camera import Camera
from vlm3_jax.geometry.covisibility import GROUND_TRUTH, PosedDepth, Tolerance, covisibility
from vlm3_jax.geometry.pose import check_rigid

METRIC = Choice()
UP_TO_SCALE = Choice(absolute=0.0, relative=0.02)
"""For scenes of an arbitrary unit, where no length says how far two depths may differ."""


def posed_depth(depth: np.ndarray, camera: Camera, c2w: np.ndarray, name: str) -> PosedDepth:
    """Checks what of a frame is not its picture.

    Args:
        depth: along the optical axis, [H, W]; 0 where there is none.
        camera: its intrinsics.
        c2w: camera-to-world pose, OpenCV axes, [4, 4].
        name: what the frame is called in an error.

    Raises:
        BadInput: intrinsics, pose or depth map cannot be used.
    """
    camera.check(f"{name}: intrinsics")
    check_rigid(c2w, f"{name}: pose")
    check_depth_map(depth, camera, f"{name}: depth map")
    return PosedDepth(depth, camera, np.asarray(c2w, np.float64))


def computed_pairs(
    frames: Sequence[Any],
    load: Callable[[Any], View],
    choice: Choice,
    names: dict[str, str],
    tolerance: Tolerance = GROUND_TRUTH,
    size: tuple[int, int] | None = None,
) -> Iterator[dict[str, Any] | Bad]:
    """Computes the covisibility of a scene's frames and makes the records of pairs of them.

    Every frame is read once for it, so that a bad one is found there and costs nothing else.

    Args:
        frames: of the scene, what `load` takes.
        load: reads a frame.
        choice: which pairs, and how many points.
        names: `dataset`, `scene` and `scale_type` of the records.
        tolerance: by the source of the depth maps.
        size: at which covisibility is computed, see `covisibility`.

    Yields:
        Examples of `schema.pair_features`, and the frames and pairs that are bad.
    """
    scene = names["scene"]
    not_empty(frames, f"the frames of scene {scene}")
    usable, bad = [], []

    def posed() -> Iterator[PosedDepth]:
        for frame in frames:
            made = attempt(f"{scene}/{frame}", load, frame)
            if isinstance(made, Bad):
                bad.append(made)
            else:
                usable.append(frame)
                yield made.posed

    scores = covisibility(posed(), tolerance, size)
    yield from bad
    yield from scene_pairs(scores, lambda i: load(usable[i]), choice, seeded(scene), names)


def seeded(name: str) -> np.random.Generator:
    """A generator that gives the same numbers for the same name, in whatever process."""
    return np.random.default_rng(list(name.encode()))


def without_infinite(depth: np.ndarray) -> np.ndarray:
    """Depth as float32 with 0 where it is infinite: the sky of renderers, half floats too large."""
    depth = np.asarray(depth, np.float32)
    return np.where(np.isinf(depth), np.float32(0), depth)


def png(pixels: np.ndarray) -> bytes:
    """Encodes uint8 [H, W, 3] that the raw data hold without a file format."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="PNG", compress_level=3)
    return file.getvalue()
