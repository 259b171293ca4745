from dataclasses import replace

import numpy as np
import pytest

from tests.training.synthetic import CONFIG
from vlm3_jax.models.inputs import Batch, ImageInputs, TextInputs
from vlm3_jax.training.flops import training_flops

QWEN3_VL_4B = replace(
    CONFIG,
    vision=replace(
        CONFIG.vision,
        depth=24,
        hidden_size=1024,
        intermediate_size=4096,
        num_heads=16,
        patch_size=16,
        out_hidden_size=2560,
        deepstack_visual_indexes=(5, 11, 17),
    ),
    text=replace(
        CONFIG.text,
        vocab_size=151936,
        hidden_size=2560,
        intermediate_size=9728,
        num_hidden_layers=36,
        num_attention_heads=32,
        num_key_value_heads=8,
        head_dim=128,
    ),
)


def batch(patches, tokens, supervised):
    """A row with images and samples of these sizes, and padding."""
    ids = [np.repeat(np.arange(len(s)) + 1, s) for s in (patches, tokens)]
    patch_ids, token_ids = (np.pad(i, (0, 7))[None].astype(np.int32) for i in ids)
    weights = np.zeros(token_ids.shape, np.float32)
    weights[:, :supervised] = 1
    text = TextInputs(None, None, token_ids, None, None)
    return Batch(text, ImageInputs(None, patch_ids, None, None, None), None, weights, None)


def test_depth_sample_of_the_4b_model():
    # One image at focal length 1000 and ten questions: 58.3 TFLOP, counted by hand from the shapes.
    found = float(training_flops(QWEN3_VL_4B, batch([4408], [1102 + 700], 700)))
    assert found == pytest.approx(58.3e12, rel=2e-3)
    vision_only = float(training_flops(QWEN3_VL_4B, batch([4408], [], 0)))
    assert vision_only == pytest.approx(3 * 4.83e12, rel=2e-3)


def test_attention_stays_within_images_and_samples():
    one = float(training_flops(QWEN3_VL_4B, batch([1000], [600], 20)))
    two = float(training_flops(QWEN3_VL_4B, batch([1000, 1000], [600, 600], 40)))
    joined = float(training_flops(QWEN3_VL_4B, batch([2000], [1200], 40)))
    assert two == pytest.approx(2 * one, rel=1e-6)
    assert joined > 1.02 * two
