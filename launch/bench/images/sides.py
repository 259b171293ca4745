"""The ways from a JPEG to patches, stage by stage."""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from time import process_time
from typing import Any

import numpy as np
from PIL import Image
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from vlm3_jax.data.images import ImageBackend, ImageProcessor, decode, resize

# Qwen3-VL's own settings.
PROCESSOR = ImageProcessor(patch_size=16, merge_size=2, min_pixels=256**2, max_pixels=4096**2)
STAGES = ("decode", "unify", "resize", "cut")
OURS: tuple[ImageBackend, ...] = ("exact", "fast")

Way = Mapping[str, Callable[[Any], Any]]
"""What each stage makes of what the one before made; a stage may do the work of the next too."""


def way(side: str, shown: tuple[int, int]) -> Way:
    """The way of a side: `transformers`, `torchvision`, `exact` or `fast`.

    Args:
        side: whose.
        shown: width and height after unification.

    Raises:
        ImportError: transformers' processor for torchvision cannot be had here.
    """
    if side in OURS:
        return _ours(side, shown)
    return _theirs(shown, torchvision=side == "torchvision")


def run(way: Way, jpeg: bytes) -> tuple[Any, list[float]]:
    """What the way makes of an image, and the CPU seconds of its stages."""
    made, seconds = jpeg, []
    for stage in STAGES:
        started = process_time()
        if stage in way:
            made = way[stage](made)
        seconds.append(process_time() - started)
    return made, seconds


def levels(patches: Any) -> np.ndarray:
    """Patches of any side as levels of 0 to 255, [P, C*p*p]."""
    patches = np.asarray(patches)
    if patches.dtype == np.uint8:
        return patches.astype(np.int32)
    size, processor = PROCESSOR.patch_size, _processor()
    steps = patches.reshape(len(patches), 3, processor.temporal_patch_size, size, size)
    mean, std = (
        np.reshape(values, (3, 1, 1)) for values in (processor.image_mean, processor.image_std)
    )
    return np.rint((steps[:, :, 0] * std + mean) * 255).astype(np.int32).reshape(len(patches), -1)


def distance(patches: Sequence[Any], expected: Sequence[Any]) -> tuple[int, float]:
    """The largest difference in levels, and the share of values that differ."""
    apart = [np.abs(levels(a) - levels(b)) for a, b in zip(patches, expected, strict=True)]
    return max(int(each.max()) for each in apart), float(np.mean([(x > 0).mean() for x in apart]))


def _ours(backend: ImageBackend, shown: tuple[int, int]) -> Way:
    width, height = shown
    processor = replace(PROCESSOR, backend=backend)
    rows, columns = processor.grid(width, height)
    size = processor.patch_size
    stages = {
        "decode": partial(decode, name="an image", backend=backend),
        "unify": partial(resize, width=width, height=height, backend=backend),
        "resize": partial(resize, width=columns * size, height=rows * size, backend=backend),
        "cut": lambda image: processor.patches(image, "an image")[0],
    }
    if backend == "fast":  # Resizes into patches.
        stages["resize"] = stages.pop("cut")
    return stages


def _theirs(shown: tuple[int, int], torchvision: bool) -> Way:
    processor = _torchvision_processor() if torchvision else _processor()
    kind = "pt" if torchvision else "np"

    def unify(image: Image.Image) -> Image.Image:
        return image if image.size == shown else image.resize(shown, Image.Resampling.BICUBIC)

    return {
        "decode": lambda jpeg: Image.open(io.BytesIO(jpeg)).convert("RGB"),
        "unify": unify,
        "resize": lambda image: processor(images=[image], return_tensors=kind)["pixel_values"],
    }


def _settings() -> dict[str, Any]:
    pixels = {"shortest_edge": PROCESSOR.min_pixels, "longest_edge": PROCESSOR.max_pixels}
    return {"patch_size": PROCESSOR.patch_size, "merge_size": PROCESSOR.merge_size, "size": pixels}


def _processor() -> Qwen2VLImageProcessorPil:
    return Qwen2VLImageProcessorPil(**_settings())


def _torchvision_processor() -> Any:
    try:
        import torch
        import torchvision  # noqa: F401 (transformers leaves out what it cannot import)
    except RuntimeError as error:  # A build for another torch.
        raise ImportError(str(error)) from error
    from transformers.models.qwen2_vl.image_processing_qwen2_vl import Qwen2VLImageProcessor

    torch.set_num_threads(1)
    return Qwen2VLImageProcessor(**_settings())
