import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForImageTextToText
from transformers.vision_utils import (
    get_vision_interpolation_indices_and_weights,
    get_vision_position_ids,
)

from vlm3_jax.errors import BadInput
from vlm3_jax.models.qwen3_vl.positions import interpolation, mrope_positions, patch_positions

GRIDS = [(2, 2), (2, 40), (58, 2), (6, 8), (48, 48), (58, 76), (72, 54), (100, 4)]
IMAGE = 99


@pytest.mark.parametrize("grid", GRIDS)
def test_patch_positions_equal_transformers(grid):
    expected = get_vision_position_ids(torch.tensor([[1, *grid]]), 2)
    np.testing.assert_array_equal(patch_positions(grid, 2), expected)


@pytest.mark.parametrize("side", [8, 48])
@pytest.mark.parametrize("grid", GRIDS)
def test_interpolation_equals_transformers(grid, side):
    indices, weights = get_vision_interpolation_indices_and_weights(
        torch.tensor([[1, *grid]]), side, align_corners=True, spatial_merge_size=2
    )
    ours = interpolation(grid, side, 2)
    # Where a weight is zero its table entry does not matter.
    used = weights.numpy() > 0
    np.testing.assert_array_equal(ours[0][used], indices.numpy()[used])
    np.testing.assert_allclose(ours[1], weights, atol=1e-6)


def test_mrope_positions_equal_transformers(tiny_hf):
    model = AutoModelForImageTextToText.from_pretrained(tiny_hf).model
    image = AutoConfig.from_pretrained(tiny_hf).image_token_id
    rng = np.random.default_rng(0)
    for grids in ([], [(4, 10)], [(4, 10), (20, 6)], [(2, 2), (8, 2), (2, 30)]):
        tokens = list(rng.integers(0, 200, 4))
        for rows, cols in grids:
            tokens += [image] * (rows * cols // 4) + list(rng.integers(0, 200, 3))
        ids = torch.tensor(tokens)[None]
        expected, _ = model.get_rope_index(
            ids,
            (ids == image).int(),
            torch.tensor([[1, *grid] for grid in grids]) if grids else None,
        )
        ours = mrope_positions(np.array(tokens), grids, image, 2)
        np.testing.assert_array_equal(ours.T, expected[:, 0])


@pytest.mark.parametrize(
    ("tokens", "grids"),
    [
        ([1, IMAGE, 2], []),
        ([1, IMAGE, IMAGE, 2], [(2, 2)]),
        ([1, 2], [(2, 2)]),
        ([IMAGE, 1], [(2, 4)]),
        ([IMAGE], [(2, 4)]),
    ],
)
def test_image_tokens_that_are_not_those_of_the_images(tokens, grids):
    with pytest.raises(BadInput, match="image tokens"):
        mrope_positions(np.array(tokens), grids, IMAGE, 2)
