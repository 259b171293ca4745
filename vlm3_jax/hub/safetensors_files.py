"""The safetensors files of a Hugging Face folder: read by slices, written tensor after tensor."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from safetensors import SafetensorError, safe_open

from vlm3_jax.errors import BadInput
from vlm3_jax.hub.keys import Shape

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"

DTYPES = {
    "F32": np.dtype(np.float32),
    "F16": np.dtype(np.float16),
    "BF16": np.dtype(jnp.bfloat16),
}
"""The number types that are read and written, by their safetensors names."""
_CODES = {dtype: code for code, dtype in DTYPES.items()}


class Stored(NamedTuple):
    """A tensor in its file."""

    shape: Shape
    dtype: str
    """The safetensors name: F32, BF16, I64 ..."""
    path: Path


class WeightFiles:
    """The tensors of one folder.

    Attributes:
        tensors: name -> `Stored`, as the files themselves say.
        problems: where the index and the files disagree, in words.
    """

    def __init__(self, folder: Path):
        """Reads the headers of all files; `model.safetensors` goes before an index, as elsewhere.

        Raises:
            BadInput: there are no weights, the index is broken, files are missing or truncated.
        """
        single = (folder / SINGLE).is_file()
        index = None if single else _read_index(folder)
        self.tensors: dict[str, Stored] = {}
        self.problems: list[str] = []
        self._files: dict[Path, Any] = {}
        for file_name in [SINGLE] if single else sorted(set(index.values())):
            path = folder / file_name
            file = self._file(path)
            for name in file.keys():  # noqa: SIM118, the file is no dict.
                if single or index.get(name) == file_name:
                    part = file.get_slice(name)
                    self.tensors[name] = Stored(tuple(part.get_shape()), part.get_dtype(), path)
                else:
                    self.problems.append(f"{name} is in {file_name} but not so in {INDEX}")
        for name, file_name in (index or {}).items():
            if name not in self.tensors:
                self.problems.append(f"{name} is not in {file_name} where {INDEX} puts it")

    def sliceable(self, name: str) -> Any:
        """Tensor `name` as an object whose `[index]` reads that slice only, as a NumPy array."""
        return self._file(self.tensors[name].path).get_slice(name)

    def release(self) -> None:
        """Gives back the memory to which the files have been mapped so far."""
        self._files.clear()

    def _file(self, path: Path) -> Any:
        if path not in self._files:
            try:
                self._files[path] = safe_open(path, framework="numpy")
            except (SafetensorError, OSError) as error:
                raise BadInput(
                    f"{path} is truncated or no safetensors file ({error}): fetch the file again."
                ) from error
        return self._files[path]


def _read_index(folder: Path) -> dict[str, str]:
    path = folder / INDEX
    if not path.is_file():
        raise BadInput(
            f"{folder} holds no weights: it needs {SINGLE}, or {INDEX} and the files that it names."
        )
    try:
        weight_map = json.loads(path.read_text())["weight_map"]
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{path} is no JSON with a weight_map: fetch the file again.") from error
    valid = isinstance(weight_map, dict) and weight_map
    if not valid or not all(isinstance(name, str) for name in weight_map.values()):
        raise BadInput(f"{path} maps no tensor names to file names: fetch the file again.")
    missing = sorted({name for name in weight_map.values() if not (folder / name).is_file()})
    if missing:
        raise BadInput(
            f"{folder} lacks {', '.join(missing)}, named by {INDEX}: fetch the folder again."
        )
    return weight_map


def write_weights(
    file: Any,
    tensors: Mapping[str, tuple[Shape, np.dtype]],
    fetch: Callable[[str], np.ndarray],
) -> None:
    """Writes one safetensors file, asking for one tensor at a time.

    safetensors' own writer wants all tensors of a file in memory at once, which for a model that
    fits one file is a second copy of it.

    Args:
        file: a binary file open for writing, or None in a process that only takes part in `fetch`.
        tensors: name -> (shape, type) of every tensor, in the order of the file.
        fetch: name -> the tensor.
    """
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, (shape, dtype) in tensors.items():
        start, end = end, end + nbytes(shape, dtype)
        header[name] = {"dtype": _CODES[dtype], "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    if file:
        file.write(len(text).to_bytes(8, "little") + text)
    for name in tensors:
        array = fetch(name)
        if file:
            file.write(np.ascontiguousarray(array).reshape(-1).view(np.uint8))


def nbytes(shape: Shape, dtype: np.dtype) -> int:
    """Bytes of a tensor."""
    return int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
