"""The one table between Hugging Face tensor names and our parameters, used by import and export.

The names are those of `Qwen3VLForConditionalGeneration` in transformers; every Qwen3-VL release
uses them, so no older spelling is read.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from vlm3_jax.models.functional import abstract_params, flatten
from vlm3_jax.models.qwen3_vl.config import Qwen3VLConfig, VisionConfig

Shape = tuple[int, ...]
Index = tuple[slice, ...]


class Transform(NamedTuple):
    """How one Hugging Face tensor becomes one of ours, or one layer of ours, and back, exactly."""

    hf_shape: Callable[[Shape, VisionConfig], Shape]
    """Our shape -> the Hugging Face shape."""
    read: Callable[[Any, Index], np.ndarray]
    """(sliceable Hugging Face tensor, index in our layout) -> our slice; reads little more."""
    write: Callable[[np.ndarray, Shape], np.ndarray]
    """(our array, Hugging Face shape) -> the Hugging Face array."""


def _conv3d_shape(shape: Shape, vision: VisionConfig) -> Shape:
    patch = vision.patch_size
    return (shape[1], vision.in_channels, vision.temporal_patch_size, patch, patch)


def _read_conv3d(tensor: Any, index: Index) -> np.ndarray:
    filters = tensor[index[1:]]
    return filters.reshape(len(filters), -1).T[index[0]]


IDENTITY = Transform(
    lambda shape, vision: shape, lambda tensor, index: tensor[index], lambda array, shape: array
)
"""[...] both ways."""
TRANSPOSE = Transform(
    lambda shape, vision: shape[::-1],
    lambda tensor, index: tensor[index[::-1]].T,
    lambda array, shape: array.T,
)
"""[out, in] -> [in, out]."""
CONV3D = Transform(_conv3d_shape, _read_conv3d, lambda array, shape: array.T.reshape(shape))
"""[out, c, t, py, px] -> [c*t*py*px, out]: the stride is the kernel's size, so it is a matrix."""


class Row(NamedTuple):
    """One line of the table; `{i}` in `hf` is the index on the first axis of our parameter."""

    hf: str
    path: str
    transform: Transform


_VISION = "model.visual"
_BLOCK = "model.visual.blocks.{i}"
_MERGER = "model.visual.merger"
_DEEPSTACK = "model.visual.deepstack_merger_list.{i}"
_TEXT = "model.language_model"
_LAYER = "model.language_model.layers.{i}"
_ATTN = "model.language_model.layers.{i}.self_attn"

EMBEDDING = f"{_TEXT}.embed_tokens.weight"
LM_HEAD = "lm_head.weight"

# A row counts for a model that has its path: biases of attention and an untied head are optional.
ROWS = (
    Row(f"{_VISION}.patch_embed.proj.weight", "vision/patch_embed/kernel", CONV3D),
    Row(f"{_VISION}.patch_embed.proj.bias", "vision/patch_embed/bias", IDENTITY),
    Row(f"{_VISION}.pos_embed.weight", "vision/pos_embed/embedding", IDENTITY),
    Row(f"{_BLOCK}.norm1.weight", "vision/blocks/norm1/scale", IDENTITY),
    Row(f"{_BLOCK}.norm1.bias", "vision/blocks/norm1/bias", IDENTITY),
    Row(f"{_BLOCK}.norm2.weight", "vision/blocks/norm2/scale", IDENTITY),
    Row(f"{_BLOCK}.norm2.bias", "vision/blocks/norm2/bias", IDENTITY),
    Row(f"{_BLOCK}.attn.qkv.weight", "vision/blocks/attn/qkv/kernel", TRANSPOSE),
    Row(f"{_BLOCK}.attn.qkv.bias", "vision/blocks/attn/qkv/bias", IDENTITY),
    Row(f"{_BLOCK}.attn.proj.weight", "vision/blocks/attn/proj/kernel", TRANSPOSE),
    Row(f"{_BLOCK}.attn.proj.bias", "vision/blocks/attn/proj/bias", IDENTITY),
    Row(f"{_BLOCK}.mlp.linear_fc1.weight", "vision/blocks/mlp/fc1/kernel", TRANSPOSE),
    Row(f"{_BLOCK}.mlp.linear_fc1.bias", "vision/blocks/mlp/fc1/bias", IDENTITY),
    Row(f"{_BLOCK}.mlp.linear_fc2.weight", "vision/blocks/mlp/fc2/kernel", TRANSPOSE),
    Row(f"{_BLOCK}.mlp.linear_fc2.bias", "vision/blocks/mlp/fc2/bias", IDENTITY),
    Row(f"{_MERGER}.norm.weight", "vision/merger/norm/scale", IDENTITY),
    Row(f"{_MERGER}.norm.bias", "vision/merger/norm/bias", IDENTITY),
    Row(f"{_MERGER}.linear_fc1.weight", "vision/merger/fc1/kernel", TRANSPOSE),
    Row(f"{_MERGER}.linear_fc1.bias", "vision/merger/fc1/bias", IDENTITY),
    Row(f"{_MERGER}.linear_fc2.weight", "vision/merger/fc2/kernel", TRANSPOSE),
    Row(f"{_MERGER}.linear_fc2.bias", "vision/merger/fc2/bias", IDENTITY),
    Row(f"{_DEEPSTACK}.norm.weight", "vision/deepstack_mergers/norm/scale", IDENTITY),
    Row(f"{_DEEPSTACK}.norm.bias", "vision/deepstack_mergers/norm/bias", IDENTITY),
    Row(f"{_DEEPSTACK}.linear_fc1.weight", "vision/deepstack_mergers/fc1/kernel", TRANSPOSE),
    Row(f"{_DEEPSTACK}.linear_fc1.bias", "vision/deepstack_mergers/fc1/bias", IDENTITY),
    Row(f"{_DEEPSTACK}.linear_fc2.weight", "vision/deepstack_mergers/fc2/kernel", TRANSPOSE),
    Row(f"{_DEEPSTACK}.linear_fc2.bias", "vision/deepstack_mergers/fc2/bias", IDENTITY),
    Row(EMBEDDING, "text/embed/embedding", IDENTITY),
    Row(f"{_LAYER}.input_layernorm.weight", "text/layers/input_norm/scale", IDENTITY),
    Row(
        f"{_LAYER}.post_attention_layernorm.weight",
        "text/layers/post_attention_norm/scale",
        IDENTITY,
    ),
    Row(f"{_ATTN}.q_proj.weight", "text/layers/attn/q_proj/kernel", TRANSPOSE),
    Row(f"{_ATTN}.q_proj.bias", "text/layers/attn/q_proj/bias", IDENTITY),
    Row(f"{_ATTN}.k_proj.weight", "text/layers/attn/k_proj/kernel", TRANSPOSE),
    Row(f"{_ATTN}.k_proj.bias", "text/layers/attn/k_proj/bias", IDENTITY),
    Row(f"{_ATTN}.v_proj.weight", "text/layers/attn/v_proj/kernel", TRANSPOSE),
    Row(f"{_ATTN}.v_proj.bias", "text/layers/attn/v_proj/bias", IDENTITY),
    Row(f"{_ATTN}.o_proj.weight", "text/layers/attn/o_proj/kernel", TRANSPOSE),
    Row(f"{_ATTN}.o_proj.bias", "text/layers/attn/o_proj/bias", IDENTITY),
    Row(f"{_ATTN}.q_norm.weight", "text/layers/attn/q_norm/scale", IDENTITY),
    Row(f"{_ATTN}.k_norm.weight", "text/layers/attn/k_norm/scale", IDENTITY),
    Row(f"{_LAYER}.mlp.gate_proj.weight", "text/layers/mlp/gate_proj/kernel", TRANSPOSE),
    Row(f"{_LAYER}.mlp.up_proj.weight", "text/layers/mlp/up_proj/kernel", TRANSPOSE),
    Row(f"{_LAYER}.mlp.down_proj.weight", "text/layers/mlp/down_proj/kernel", TRANSPOSE),
    Row(f"{_TEXT}.norm.weight", "text/norm/scale", IDENTITY),
    Row(LM_HEAD, "lm_head/kernel", TRANSPOSE),
)


class Parameter(NamedTuple):
    """One parameter of a given model and the Hugging Face tensors that make it."""

    path: str
    shape: Shape
    hf_names: tuple[str, ...]
    """One name; of a stacked parameter one a layer, in the order of the first axis."""
    hf_shape: Shape
    """Of each of these tensors."""
    stacked: bool
    transform: Transform


def parameters(config: Qwen3VLConfig) -> list[Parameter]:
    """Expands the table for one model: every parameter once, in the table's order.

    Raises:
        KeyError: the model has a parameter that the table lacks.
    """
    shapes = {path: leaf.shape for path, leaf in flatten(abstract_params(config)).items()}
    unknown = shapes.keys() - {row.path for row in ROWS}
    if unknown:
        raise KeyError(f"no Hugging Face name for {', '.join(sorted(unknown))}")
    return [_parameter(row, shapes[row.path], config.vision) for row in ROWS if row.path in shapes]


def _parameter(row: Row, shape: Shape, vision: VisionConfig) -> Parameter:
    stacked = "{i}" in row.hf
    names = [row.hf.format(i=i) for i in range(shape[0])] if stacked else [row.hf]
    one = shape[1:] if stacked else shape
    hf_shape = row.transform.hf_shape(one, vision)
    return Parameter(row.path, shape, tuple(names), hf_shape, stacked, row.transform)


def hf_keys(config: Qwen3VLConfig) -> dict[str, Shape]:
    """Name -> shape of every tensor of a Hugging Face folder of this model.

    A tied head has no tensor of its own.
    """
    return {name: p.hf_shape for p in parameters(config) for name in p.hf_names}


def differences(found: dict[str, Shape], expected: dict[str, Shape]) -> list[str]:
    """How two tables of shapes differ, in words that name every tensor; empty if they agree."""
    misfits = {
        "missing": [name for name in expected if name not in found],
        "extra": [name for name in found if name not in expected],
        "wrong shape": [
            f"{name} is {list(found[name])} and should be {list(shape)}"
            for name, shape in expected.items()
            if name in found and tuple(found[name]) != tuple(shape)
        ],
    }
    return [
        f"{kind} ({len(names)}): {', '.join(names)}" for kind, names in misfits.items() if names
    ]
