"""Rows padded to fixed shapes and stacked."""

from collections.abc import Sequence

import numpy as np

from vlm3_jax.data.encoder import Encoded
from vlm3_jax.errors import BadInput
from vlm3_jax.models.inputs import Batch, ImageInputs, TextInputs

# Everything else is padded with 0.
_PADDING = {"visual_index": -1}


def pad(rows: Sequence[Encoded], max_tokens: int, max_patches: int, max_supervised: int) -> Batch:
    """Stacks rows, padded to `max_tokens` tokens and `max_patches` patches each.

    Returns:
        NumPy arrays with the shapes of `Batch`, B = len(rows).

    Raises:
        BadInput: a row is longer than that, or has more than `max_supervised` answer tokens.
    """
    for row in rows:
        tokens, patches = len(row.text.tokens), len(row.images.patches)
        answers = np.count_nonzero(row.loss_weights)
        _check_budget(row.key, f"{tokens} tokens", tokens, "max_tokens", max_tokens)
        _check_budget(row.key, f"{patches} patches", patches, "max_patches", max_patches)
        _check_budget(
            row.key, f"{answers} answer tokens", answers, "max_supervised", max_supervised
        )
    return Batch(
        text=pad_inputs([row.text for row in rows], TextInputs, max_tokens),
        images=pad_inputs([row.images for row in rows], ImageInputs, max_patches),
        targets=_stack([row.targets for row in rows], max_tokens, 0),
        loss_weights=_stack([row.loss_weights for row in rows], max_tokens, 0),
    )


def _check_budget(key: str, what: str, need: int, setting: str, budget: int) -> None:
    if need > budget:
        remedy = "a smaller focal" if setting == "max_patches" else "fewer questions"
        raise BadInput(f"{key} needs {what}, but {setting} is {budget}: raise it, or use {remedy}.")


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
