"""Export to a folder that transformers opens as it is."""

import json
from contextlib import nullcontext
from functools import reduce
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from absl import logging
from jax.experimental import multihost_utils

from vlm3_jax.hub import source
from vlm3_jax.hub.keys import Parameter, Shape, differences, parameters
from vlm3_jax.hub.new_folder import new_folder
from vlm3_jax.hub.safetensors_files import INDEX, SINGLE, nbytes, write_weights
from vlm3_jax.models.functional import Params, flatten
from vlm3_jax.models.qwen3_vl.config import Qwen3VLConfig

MAX_SHARD_BYTES = 5 * 10**9


class _Tensor(NamedTuple):
    """A Hugging Face tensor and the part of ours that it is."""

    parameter: Parameter
    layer: int | None
    dtype: np.dtype

    @property
    def header(self) -> tuple[Shape, np.dtype]:
        return self.parameter.hf_shape, self.dtype

    @property
    def nbytes(self) -> int:
        return nbytes(*self.header)


def save_hf(
    params: Params,
    assets_dir: str | Path,
    dst: str | Path,
    dtype: Any = None,
    max_shard_bytes: int = MAX_SHARD_BYTES,
) -> None:
    """Writes a Hugging Face folder: weights, their index, and the assets of `assets_dir`.

    Tensors are fetched from the devices and written one by one, so the host never holds a second
    copy of the model. With several processes all call this; the first one writes.

    Args:
        params: nested dict of jax arrays, placed in any way.
        assets_dir: folder with config.json, tokenizer, chat template and processor configs.
        dst: the folder to make; it appears only when it is whole.
        dtype: type to write; that of each parameter if None. config.json states it.
        max_shard_bytes: the tensors of a file are not larger, unless one alone is.

    Raises:
        BadInput: `dst` exists and is not empty.
        ValueError: the parameters are not those of the config in `assets_dir`.
    """
    leaves = flatten(params)
    expected = parameters(Qwen3VLConfig.from_folder(assets_dir))
    problems = differences(
        {path: leaf.shape for path, leaf in leaves.items()}, {p.path: p.shape for p in expected}
    )
    if problems:
        raise ValueError(f"parameters do not fit {assets_dir}/config.json: {'; '.join(problems)}")
    tensors = {
        name: _Tensor(p, layer if p.stacked else None, jnp.dtype(dtype or leaves[p.path].dtype))
        for p in expected
        for layer, name in enumerate(p.hf_names)
    }

    def fetch(name: str) -> np.ndarray:
        tensor = tensors[name]
        array = _to_host(leaves[tensor.parameter.path], tensor.layer).astype(tensor.dtype)
        return tensor.parameter.transform.write(array, tensor.parameter.hf_shape)

    writes = jax.process_index() == 0
    with new_folder(dst) as folder:
        shards = _shards(tensors, max_shard_bytes)
        for file_name, names in shards.items():
            logging.info("writing %s with %d tensors", file_name, len(names))
            header = {name: tensors[name].header for name in names}
            with (folder / file_name).open("wb") if writes else nullcontext() as file:
                write_weights(file, header, fetch)
        if writes:
            source.copy_assets(Path(assets_dir), folder)
            _write_index(folder / INDEX, shards, tensors)
            _write_dtype(folder / "config.json", [tensor.dtype for tensor in tensors.values()])


def _to_host(array: jax.Array, layer: int | None) -> np.ndarray:
    """A parameter or one layer of it as a NumPy array, in every process."""
    piece = array if layer is None else _take_layer(array, layer)
    if piece.is_fully_addressable:
        return np.asarray(piece)
    # Gathered as integers, for a collective may compute in float32 and change the bits of NaNs.
    bits = jax.lax.bitcast_convert_type(piece, f"uint{8 * piece.dtype.itemsize}")
    return multihost_utils.process_allgather(bits, tiled=True).view(piece.dtype)


@jax.jit
def _take_layer(stack: jax.Array, layer: int) -> jax.Array:
    return jax.lax.dynamic_index_in_dim(stack, layer, keepdims=False)


def _shards(tensors: dict[str, _Tensor], max_bytes: int) -> dict[str, list[str]]:
    """File name -> tensors, filled in order."""
    groups: list[list[str]] = [[]]
    size = 0
    for name, tensor in tensors.items():
        if groups[-1] and size + tensor.nbytes > max_bytes:
            groups.append([])
            size = 0
        groups[-1].append(name)
        size += tensor.nbytes
    if len(groups) == 1:
        return {SINGLE: groups[0]}
    count = len(groups)
    return {f"model-{i:05d}-of-{count:05d}.safetensors": group for i, group in enumerate(groups, 1)}


def _write_index(path: Path, shards: dict[str, list[str]], tensors: dict[str, _Tensor]) -> None:
    if len(shards) == 1:
        return
    index = {
        "metadata": {
            "total_parameters": sum(int(np.prod(t.header[0])) for t in tensors.values()),
            "total_size": sum(tensor.nbytes for tensor in tensors.values()),
        },
        "weight_map": {name: file for file, names in shards.items() for name in names},
    }
    path.write_text(json.dumps(index, indent=2, sort_keys=True) + "\n")


def _write_dtype(path: Path, dtypes: list[np.dtype]) -> None:
    """Makes config.json name the type of the weights, the widest where they differ."""
    config = json.loads(path.read_text())
    name = str(reduce(jnp.promote_types, dtypes))
    for part in (config, config["text_config"], config["vision_config"]):
        part.pop("torch_dtype", None)  # The key's name in older releases.
        part["dtype"] = name
    path.write_text(json.dumps(config, indent=2) + "\n")
