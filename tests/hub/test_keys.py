import json

import jax
import numpy as np
import pytest
import torch

from tests.hub.folders import copy_assets, reference_shapes
from vlm3_jax.hub.keys import CONV3D, IDENTITY, TRANSPOSE, hf_keys, parameters
from vlm3_jax.models.functional import abstract_params, flatten, unflatten
from vlm3_jax.models.qwen3_vl.config import Qwen3VLConfig

SHAPE_4B = {
    "text_config": {
        "hidden_size": 2560,
        "intermediate_size": 9728,
        "num_hidden_layers": 36,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "vocab_size": 151936,
    },
    "vision_config": {
        "depth": 24,
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_heads": 16,
        "out_hidden_size": 2560,
        "num_position_embeddings": 2304,
        "deepstack_visual_indexes": [5, 11, 17],
    },
}


@pytest.mark.parametrize(
    "changes",
    [
        {"tie_word_embeddings": True},
        {"tie_word_embeddings": False},
        {"text_config": {"attention_bias": True}},
        SHAPE_4B,
    ],
    ids=["tied", "untied", "attention bias", "4B"],
)
def test_names_and_shapes_are_those_of_transformers(tiny_hf, tmp_path, changes):
    folder = copy_assets(tiny_hf, tmp_path / "hf")
    raw = json.loads((folder / "config.json").read_text())
    for key, value in changes.items():
        raw[key] = {**raw[key], **value} if isinstance(value, dict) else value
    (folder / "config.json").write_text(json.dumps(raw))

    assert hf_keys(Qwen3VLConfig.from_folder(folder)) == reference_shapes(folder)


def test_every_parameter_of_the_model_has_its_row(tiny_hf_untied):
    config = Qwen3VLConfig.from_folder(tiny_hf_untied)
    shapes = {path: leaf.shape for path, leaf in flatten(abstract_params(config)).items()}
    assert {p.path: p.shape for p in parameters(config)} == shapes


@pytest.mark.parametrize("transform", [IDENTITY, TRANSPOSE, CONV3D], ids=["same", "T", "conv"])
def test_transforms_invert_and_read_any_slice(tiny_hf, rng, transform):
    vision = Qwen3VLConfig.from_folder(tiny_hf).vision
    shape = (vision.in_channels * vision.temporal_patch_size * vision.patch_size**2, 8)
    ours = rng.normal(size=shape)
    theirs = transform.write(ours, transform.hf_shape(shape, vision))

    assert theirs.shape == transform.hf_shape(shape, vision)
    everything = (slice(None), slice(None))
    np.testing.assert_array_equal(transform.read(theirs, everything), ours)
    part = (slice(100, 300), slice(2, 5))
    np.testing.assert_array_equal(transform.read(theirs, part), ours[part])


def test_conv3d_becomes_a_matrix_product(tiny_hf, rng):
    vision = Qwen3VLConfig.from_folder(tiny_hf).vision
    patch, frames = vision.patch_size, vision.temporal_patch_size
    weight = rng.normal(size=(8, vision.in_channels, frames, patch, patch))
    pixels = rng.normal(size=(1, *weight.shape[1:]))

    matrix = CONV3D.read(weight, (slice(None), slice(None)))
    expected = torch.nn.functional.conv3d(torch.tensor(pixels), torch.tensor(weight))

    np.testing.assert_allclose(pixels.reshape(1, -1) @ matrix, expected.reshape(1, -1), rtol=1e-9)


def test_flatten_and_unflatten_are_inverse():
    tree = {"a": {"b": {"c": 1, "d": 2}}, "e": 3}
    assert flatten(tree) == {"a/b/c": 1, "a/b/d": 2, "e": 3}
    assert unflatten(flatten(tree)) == tree
    assert jax.tree.structure(unflatten(flatten(tree))) == jax.tree.structure(tree)
