"""Positions of patches and tokens, worked out on the host with NumPy.

The reference is `transformers` (`vision_utils.py` and `Qwen3VLModel.get_rope_index`).
"""

from collections.abc import Sequence

import numpy as np

from vlm3_jax.errors import BadInput


def patch_positions(grid: tuple[int, int], merge: int) -> np.ndarray:
    """Row and column of every patch, in merge-block order.

    Args:
        grid: patch rows and columns of the image, both multiples of `merge`.
        merge: side of the block of patches that becomes one language token.

    Returns:
        int32 [P, 2]; `merge * merge` successive patches form one language token.
    """
    rows, cols = grid
    raster = np.stack(np.mgrid[:rows, :cols], axis=-1).astype(np.int32)
    blocks = raster.reshape(rows // merge, merge, cols // merge, merge, 2)
    return blocks.swapaxes(1, 2).reshape(-1, 2)


def interpolation(grid: tuple[int, int], side: int, merge: int) -> tuple[np.ndarray, np.ndarray]:
    """Bilinear look-up of the learned position table for every patch, in merge-block order.

    The corners of the table lie on the corners of the image.

    Args:
        grid: patch rows and columns of the image.
        side: side of the square table.
        merge: see `patch_positions`.

    Returns:
        Table entries int32 [P, 4] and their weights float32 [P, 4].
    """
    patches = patch_positions(grid, merge)
    taps, weights = zip(*(_axis_taps(patches[:, a], grid[a], side) for a in (0, 1)), strict=True)
    indices = taps[0][:, :, None] * side + taps[1][:, None, :]
    products = weights[0][:, :, None] * weights[1][:, None, :]
    return indices.reshape(-1, 4), products.reshape(-1, 4)


def _axis_taps(index: np.ndarray, size: int, side: int) -> tuple[np.ndarray, np.ndarray]:
    source = index.astype(np.float32) * np.float32(side - 1) / np.float32(max(size - 1, 1))
    floor = np.floor(source)
    fraction = source - floor
    low = floor.astype(np.int32)
    high = np.minimum(low + 1, side - 1)
    return np.stack([low, high], -1), np.stack([1 - fraction, fraction], -1)


def mrope_positions(
    tokens: np.ndarray, grids: Sequence[tuple[int, int]], image_token_id: int, merge: int
) -> np.ndarray:
    """M-RoPE positions (time, height, width) of one conversation.

    Text advances all three by one a token. An image keeps one time and spreads its rows and columns
    over the other two; the text after it goes on from the larger side of its grid.

    Args:
        tokens: int [L], image placeholders expanded to one token a merged patch.
        grids: patch rows and columns of the images, in order.
        image_token_id: the placeholder's id.
        merge: see `patch_positions`.

    Returns:
        int32 [L, 3].

    Raises:
        BadInput: the runs of placeholders are not those of the images.
    """
    positions = np.empty((len(tokens), 3), np.int32)
    is_image = np.asarray(tokens) == image_token_id
    remaining = list(grids)
    i = position = 0
    while i < len(tokens):
        if not is_image[i]:
            positions[i] = position
            i, position = i + 1, position + 1
            continue
        rows, cols = (g // merge for g in (remaining.pop(0) if remaining else (0, 0)))
        end = i + rows * cols
        if end == i or end > len(tokens) or not is_image[i:end].all():
            raise BadInput(_MISMATCH.format(found=int(is_image.sum()), grids=list(grids)))
        offsets = np.stack(np.mgrid[:1, :rows, :cols], axis=-1).reshape(-1, 3)
        positions[i:end] = position + offsets
        i, position = end, position + max(rows, cols)
    if remaining:
        raise BadInput(_MISMATCH.format(found=int(is_image.sum()), grids=list(grids)))
    return positions


_MISMATCH = (
    "the conversation has {found} image tokens, which are not those of images with patch grids"
    " {grids}: every image must appear once, in order."
)
