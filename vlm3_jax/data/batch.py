"""Rows padded to fixed shapes and stacked."""

from collections.abc import Sequence

import jax
import numpy as np

from vlm3_jax.data.encoder import Encoded, Size
from vlm3_jax.errors import BadInput
from vlm3_jax.models.inputs import Batch, ImageInputs, TextInputs
from vlm3_jax.models.qwen3_vl.config import VisionConfig

# Everything else is padded with 0.
_PADDING = {"visual_index": -1}


def check_size(sample: Encoded, budget: Size) -> None:
    """Raises BadInput for a sample that does not fit in a row of that size."""
    units = ("tokens", "patches", "answer tokens")
    remedies = ("fewer questions", "a smaller focal", "fewer questions")
    for name, need, limit, unit, remedy in zip(
        Size._fields, sample.size, budget, units, remedies, strict=True
    ):
        if need > limit:
            raise BadInput(
                f"{sample.key} needs {need} {unit}, but max_{name} is {limit}: raise it, or use"
                f" {remedy}."
            )


def check_reach(
    sample: Encoded, max_sample_tokens: int | None, max_image_patches: int | None
) -> None:
    """Raises BadInput for a sample, or an image of it, beyond what attention kernels reckon with.

    Where a limit is None nothing is checked.
    """
    tokens = len(sample.text.tokens)
    patches = int(np.max(np.bincount(sample.images.segment_ids), initial=0))
    if max_sample_tokens is not None and tokens > max_sample_tokens:
        raise BadInput(
            f"{sample.key} needs {tokens} tokens, but max_sample_tokens is {max_sample_tokens}:"
            " raise it, or use fewer questions."
        )
    if max_image_patches is not None and patches > max_image_patches:
        raise BadInput(
            f"{sample.key} has an image of {patches} patches, but max_image_patches is"
            f" {max_image_patches}: raise it, or use a smaller focal."
        )


def pad(rows: Sequence[Encoded], max_tokens: int, max_patches: int) -> Batch:
    """Stacks rows of at most `max_tokens` tokens and `max_patches` patches, padded to that size.

    Returns:
        NumPy arrays with the shapes of `Batch`, B = len(rows).
    """
    return Batch(
        text=pad_inputs([row.text for row in rows], TextInputs, max_tokens),
        images=pad_inputs([row.images for row in rows], ImageInputs, max_patches),
        targets=_stack([row.targets for row in rows], max_tokens, 0),
        loss_weights=_stack([row.loss_weights for row in rows], max_tokens, 0),
        source_ids=_stack([row.source_ids for row in rows], max_tokens, 0),
    )


def abstract_batch(rows: int, max_tokens: int, max_patches: int, vision: VisionConfig) -> Batch:
    """Shapes and types of what `pad` makes of so many rows, as `jax.ShapeDtypeStruct`."""

    def tokens(*shape: int, dtype: str = "int32") -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((rows, max_tokens, *shape), dtype)

    def patches(*shape: int, dtype: str = "int32") -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((rows, max_patches, *shape), dtype)

    return Batch(
        text=TextInputs(
            tokens=tokens(),
            positions=tokens(3),
            segment_ids=tokens(),
            question_ids=tokens(),
            visual_index=tokens(),
        ),
        images=ImageInputs(
            patches=patches(vision.in_channels * vision.patch_size**2, dtype="uint8"),
            segment_ids=patches(),
            positions=patches(2),
            interp_indices=patches(4),
            interp_weights=patches(4, dtype="float32"),
        ),
        targets=tokens(),
        loss_weights=tokens(dtype="float32"),
        source_ids=tokens(),
    )


def pad_inputs(
    rows: Sequence[TextInputs] | Sequence[ImageInputs],
    cls: type[TextInputs] | type[ImageInputs],
    length: int,
) -> TextInputs | ImageInputs:
    """Stacks the text or the images of rows, padded to `length` tokens or patches each."""
    return cls(
        **{
            name: _stack([getattr(row, name) for row in rows], length, _PADDING.get(name, 0))
            for name in cls._fields
        }
    )


def _stack(arrays: Sequence[np.ndarray], length: int, value: int) -> np.ndarray:
    stacked = np.full((len(arrays), length, *arrays[0].shape[1:]), value, arrays[0].dtype)
    for row, array in zip(stacked, arrays, strict=True):
        row[: len(array)] = array
    return stacked
