"""Takes rows apart again, into the conversations that transformers trains on."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from vlm3_jax.models.inputs import Batch
from vlm3_jax.models.qwen3_vl.config import VisionConfig

IGNORED = -100
"""Label of a token that is not to be learned."""


@dataclass(frozen=True)
class Conversation:
    """One sequence as transformers takes it."""

    tokens: np.ndarray
    """int64 [L]."""
    labels: np.ndarray
    """int64 [L]: the answers' own tokens, `IGNORED` elsewhere."""
    pixels: np.ndarray
    """float32 [P, C*T*p*p]: the `pixel_values` of its images."""
    grids: np.ndarray
    """int64 [images, 3]: one frame, rows and columns of patches."""


def conversations(batch: Batch, vision: VisionConfig) -> list[Conversation]:
    """All conversations of a batch of NumPy arrays, in the order of their places.

    A sample with independent questions becomes one conversation a question, with the image again in
    each: transformers has no way to share it.
    """
    rows = range(len(batch.targets))
    return [one for row in rows for one in _of_row(_take_row(batch, row), vision)]


def _take_row(batch: Batch, row: int) -> Batch:
    return Batch(
        *(type(part)(*(array[row] for array in part)) for part in batch[:2]),
        *(array[row] for array in batch[2:]),
    )


def _of_row(row: Batch, vision: VisionConfig) -> Iterator[Conversation]:
    for segment in range(1, row.text.segment_ids.max() + 1):
        in_sample = row.text.segment_ids == segment
        questions = np.unique(row.text.question_ids[in_sample])
        for question in questions[questions > 0] if questions.max() else [0]:
            seen = in_sample & np.isin(row.text.question_ids, [0, question])
            yield _conversation(row, np.flatnonzero(seen), question, vision)


def _conversation(
    row: Batch, places: np.ndarray, question: int, vision: VisionConfig
) -> Conversation:
    # The last shared token predicts the first of every question, which is never an answer.
    learned = (row.loss_weights > 0) & (row.text.question_ids == question)
    targets = np.where(learned, row.targets, IGNORED)[places]
    block = vision.spatial_merge_size**2
    merged = row.text.visual_index[places]
    patches = (merged[merged >= 0, None] * block + np.arange(block)).reshape(-1)
    return Conversation(
        row.text.tokens[places].astype(np.int64),
        # Ours stand where a token is predicted, theirs at the token itself.
        np.concatenate([[IGNORED], targets[:-1]]).astype(np.int64),
        pixel_values(row.images.patches[patches], vision),
        image_grids(row.images.segment_ids[patches], row.images.positions[patches]),
    )


def image_grids(segment_ids: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Frames (1), rows and columns of each image, int64 [images, 3].

    Args:
        segment_ids: int32 [P], which image a patch is of.
        positions: int32 [P, 2], its row and column.
    """
    grids = [[1, *(positions[segment_ids == i].max(0) + 1)] for i in np.unique(segment_ids)]
    return np.array(grids, np.int64).reshape(-1, 3)


def pixel_values(patches: np.ndarray, vision: VisionConfig) -> np.ndarray:
    """What transformers makes of patches, uint8 [P, C*p*p]: float32 [P, C*T*p*p], normalised."""
    pixels = patches.reshape(len(patches), vision.in_channels, 1, -1).astype(np.float32) / 255
    mean, std = (
        np.asarray(x, np.float32)[:, None, None] for x in (vision.image_mean, vision.image_std)
    )
    frames = np.repeat((pixels - mean) / std, vision.temporal_patch_size, axis=2)
    return frames.reshape(len(patches), -1)
