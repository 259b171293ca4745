"""Import of a Hugging Face folder, streamed slice by slice to where the parameters live."""

from collections.abc import Callable, Iterator
from functools import reduce
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import logging
from jax.sharding import Sharding, SingleDeviceSharding

from vlm3_jax.errors import BadInput
from vlm3_jax.hub import source
from vlm3_jax.hub.keys import (
    EMBEDDING,
    LM_HEAD,
    Index,
    Parameter,
    differences,
    hf_keys,
    parameters,
)
from vlm3_jax.hub.safetensors_files import DTYPES, WeightFiles
from vlm3_jax.models.functional import Params, flatten, unflatten
from vlm3_jax.models.qwen3_vl.config import Qwen3VLConfig


def load_hf(src: str | Path, shardings: Any = None, dtype: Any = None) -> Params:
    """Reads the weights of a Hugging Face folder.

    Every process reads only the slices that its devices hold, one parameter at a time: beside the
    parameters themselves, memory holds this process's part of one of them.

    Args:
        src: a Hugging Face folder or a hub id.
        shardings: tree of shardings like the parameters; the first local device if None.
        dtype: type of the parameters; as stored if None (layers stored in different types are
            widened to a type that holds them all).

    Returns:
        Nested dict of arrays, as `vlm3_jax.models.functional` lays it out.

    Raises:
        BadInput: the folder is no dense Qwen3-VL, its weights cannot be read, or they do not fit
            its config: every missing, extra, wrongly shaped and non-float tensor is named.
    """
    folder = source.find_folder(src, weights=True)
    config = Qwen3VLConfig.from_folder(folder)
    weights = WeightFiles(folder)
    _check(folder, weights, config)
    placements = placement(shardings)
    leaves = {}
    for parameter in parameters(config):
        array = _load(parameter, weights, placements(parameter.path), dtype)
        # Or copies of parameters on their way to the device pile up, and pages of the files.
        leaves[parameter.path] = array.block_until_ready()
        weights.release()
    return unflatten(leaves)


def placement(shardings: Any) -> Callable[[str], Sharding]:
    """Path of a parameter -> its sharding; the first local device where `shardings` is None."""
    if shardings is None:
        local = SingleDeviceSharding(jax.local_devices()[0])
        return lambda path: local
    return flatten(shardings).__getitem__


def _load(parameter: Parameter, weights: WeightFiles, sharding: Sharding, dtype: Any) -> jax.Array:
    dtype = _dtype(parameter, weights) if dtype is None else jnp.dtype(dtype)
    shards: dict[Any, np.ndarray] = {}  # Devices that hold the same slice share one read.

    def shard(index: Index) -> np.ndarray:
        key = tuple((part.start, part.stop) for part in index)
        if key not in shards:
            shards[key] = _read(parameter, weights, index, dtype)
        return shards[key]

    return jax.make_array_from_callback(parameter.shape, sharding, shard, dtype=dtype)


def _read(parameter: Parameter, weights: WeightFiles, index: Index, dtype: np.dtype) -> np.ndarray:
    """One slice of a parameter, assembled from the layers it spans."""
    shape = [len(range(size)[part]) for size, part in zip(parameter.shape, index, strict=True)]
    out = np.empty(shape, dtype)
    if parameter.stacked:
        layers, inner = out, index[1:]
        names = parameter.hf_names[index[0]]
    else:
        layers, inner, names = out[None], index, parameter.hf_names
    for layer, name in zip(layers, names, strict=True):
        layer[...] = parameter.transform.read(weights.sliceable(name), inner)
    return out


def _dtype(parameter: Parameter, weights: WeightFiles) -> np.dtype:
    stored = {DTYPES[weights.tensors[name].dtype] for name in parameter.hf_names}
    return reduce(jnp.promote_types, stored)


def _check(folder: Path, weights: WeightFiles, config: Qwen3VLConfig) -> None:
    """Compares what the files hold with what the config says, whole, before anything is read."""
    expected = hf_keys(config)
    stored = dict(weights.tensors)
    if LM_HEAD not in expected and LM_HEAD in stored and EMBEDDING in stored:
        _check_tied_head(folder, weights)
        del stored[LM_HEAD]
    problems = differences({name: tensor.shape for name, tensor in stored.items()}, expected)
    problems += [
        f"{name} is {tensor.dtype} and not one of {', '.join(DTYPES)}"
        for name, tensor in stored.items()
        if tensor.dtype not in DTYPES
    ]
    problems += weights.problems
    if problems:
        raise BadInput(
            f"{folder} does not fit its config.json: {'; '.join(problems)}: fetch the folder again"
            " or correct its config.json."
        )


def _check_tied_head(folder: Path, weights: WeightFiles) -> None:
    """Accepts the head that some trainers save beside the embedding it is tied to, if equal."""
    head, embedding = weights.tensors[LM_HEAD], weights.tensors[EMBEDDING]
    equal = head[:2] == embedding[:2] and all(
        np.array_equal(mine, other)
        for mine, other in zip(
            _row_blocks(LM_HEAD, weights), _row_blocks(EMBEDDING, weights), strict=True
        )
    )
    if not equal:
        raise BadInput(
            f"{folder} says tie_word_embeddings but holds a {LM_HEAD} that differs from"
            f" {EMBEDDING}: set tie_word_embeddings to false in its config.json."
        )
    logging.info("%s: left out %s, equal to the embedding it is tied to", folder, LM_HEAD)


def _row_blocks(name: str, weights: WeightFiles, size: int = 8192) -> Iterator[np.ndarray]:
    """The bytes of a tensor, some rows at a time."""
    tensor = weights.sliceable(name)
    rows = weights.tensors[name].shape[0]
    for start in range(0, rows, size):
        # safetensors takes no slice beyond the end.
        yield tensor[start : min(start + size, rows)].view(np.uint8)
