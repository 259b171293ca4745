"""A model of two layers and batches of random images and text for it."""

import numpy as np

from vlm3_jax.models.inputs import Batch, ImageInputs, TextInputs
from vlm3_jax.models.qwen3_vl.config import Qwen3VLConfig, TextConfig, VisionConfig
from vlm3_jax.models.qwen3_vl.positions import interpolation, mrope_positions, patch_positions

IMAGE, START, END = 90, 91, 92
CONFIG = Qwen3VLConfig(
    vision=VisionConfig(
        depth=2,
        hidden_size=32,
        intermediate_size=64,
        num_heads=2,
        in_channels=3,
        patch_size=8,
        spatial_merge_size=2,
        temporal_patch_size=2,
        out_hidden_size=32,
        num_position_embeddings=16,
        deepstack_visual_indexes=(0,),
        rope_theta=10000.0,
        image_mean=(0.5, 0.5, 0.5),
        image_std=(0.5, 0.5, 0.5),
    ),
    text=TextConfig(
        vocab_size=104,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        rms_norm_eps=1e-6,
        rope_theta=10000.0,
        mrope_section=(4, 2, 2),
        attention_bias=False,
    ),
    image_token_id=IMAGE,
    vision_start_token_id=START,
    vision_end_token_id=END,
    tie_word_embeddings=True,
)


def make_batch(rng: np.random.Generator, rows: int, length: int = 40, patches: int = 32) -> Batch:
    """Rows with an image of 4x6 or 2x4 patches each, a question, an answer and padding."""
    made = [_make_row(rng, [(4, 6), (2, 4)][row % 2], length, patches) for row in range(rows)]
    text, images, targets, weights = zip(*made, strict=True)
    return Batch(
        TextInputs(*(np.stack(arrays) for arrays in zip(*text, strict=True))),
        ImageInputs(*(np.stack(arrays) for arrays in zip(*images, strict=True))),
        np.stack(targets),
        np.stack(weights),
        np.zeros((rows, length), np.int32),
    )


def _make_row(rng: np.random.Generator, grid: tuple[int, int], length: int, patches: int):
    rows, cols = grid
    image = [START, *[IMAGE] * (rows * cols // 4), END]
    prompt, answer = rng.integers(0, 80, 8).tolist(), rng.integers(0, 10, 4 + rows).tolist()
    tokens = np.array([*image, *prompt, *answer], np.int32)
    is_image = tokens == IMAGE
    text = TextInputs(
        tokens=_pad(tokens, length),
        positions=_pad(mrope_positions(tokens, [grid], IMAGE, 2), length),
        segment_ids=_pad(np.ones_like(tokens), length),
        question_ids=np.zeros(length, np.int32),
        visual_index=_pad(
            np.where(is_image, np.cumsum(is_image) - 1, -1).astype(np.int32), length, -1
        ),
    )
    indices, weights = interpolation(grid, 4, 2)
    images = ImageInputs(
        patches=_pad(rng.integers(0, 256, (rows * cols, 3 * 8 * 8)).astype(np.uint8), patches),
        segment_ids=_pad(np.ones(rows * cols, np.int32), patches),
        positions=_pad(patch_positions(grid, 2), patches),
        interp_indices=_pad(indices, patches),
        interp_weights=_pad(weights, patches),
    )
    targets = _pad(tokens[1:], length)
    supervised = np.zeros(length, np.float32)
    supervised[len(tokens) - len(answer) - 1 : len(tokens) - 1] = 1
    return text, images, targets, supervised


def _pad(array: np.ndarray, length: int, fill: int = 0) -> np.ndarray:
    width = [(0, length - len(array))] + [(0, 0)] * (array.ndim - 1)
    return np.pad(array, width, constant_values=fill)
