"""Hugging Face folders of random bits; the names come from transformers, files from safetensors."""

import json
import shutil
from pathlib import Path

import ml_dtypes
import numpy as np
import torch
from safetensors import safe_open
from safetensors.numpy import save_file
from transformers import AutoConfig, Qwen3VLForConditionalGeneration

FILES = 3
BITS = {"float32": (np.uint32, np.float32), "bfloat16": (np.uint16, ml_dtypes.bfloat16)}


def reference_shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Name -> shape of the tensors that transformers saves for the config in `folder`."""
    config = AutoConfig.from_pretrained(folder)
    with torch.device("meta"):
        model = Qwen3VLForConditionalGeneration._from_config(config)
    tied = set(model._tied_weights_keys) if config.tie_word_embeddings else set()
    return {name: tuple(t.shape) for name, t in model.state_dict().items() if name not in tied}


def random_bits(shapes, dtype: str, seed: int = 0) -> dict[str, np.ndarray]:
    """Arrays of random bits: denormals, infinities and NaNs with payloads among them."""
    rng = np.random.default_rng(seed)
    unsigned, number = BITS[dtype]
    high = np.iinfo(unsigned).max
    draw = lambda shape: rng.integers(0, high, shape, unsigned, endpoint=True)  # noqa: E731
    return {name: draw(shape).view(number) for name, shape in shapes.items()}


def copy_assets(src: Path, dst: Path) -> Path:
    """A copy of a Hugging Face folder without its weights."""
    return Path(shutil.copytree(src, dst, ignore=shutil.ignore_patterns("*.safetensors*")))


def write_tensors(folder: Path, tensors: dict[str, np.ndarray], files: int = 1) -> None:
    """Adds weights to a folder: one file, or several with an index."""
    if files == 1:
        save_file(tensors, folder / "model.safetensors")
        return
    weight_map = {}
    for i in range(files):
        file = f"model-{i + 1:05d}-of-{files:05d}.safetensors"
        names = list(tensors)[i::files]  # Neighbouring layers lie in different files.
        save_file({name: tensors[name] for name in names}, folder / file)
        weight_map |= dict.fromkeys(names, file)
    index = {"metadata": {}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def read_tensors(folder: Path) -> dict[str, np.ndarray]:
    """All tensors of all safetensors files of a folder."""
    tensors = {}
    for path in folder.glob("*.safetensors"):
        with safe_open(path, "numpy") as file:
            tensors |= {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    return tensors


def assert_same_bits(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert found[name].dtype == array.dtype, name
        assert found[name].shape == array.shape, name
        assert found[name].tobytes() == array.tobytes(), name
