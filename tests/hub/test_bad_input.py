import json
import struct

import numpy as np
import pytest

from tests.hub.folders import FILES, copy_assets, read_tensors, write_tensors
from vlm3_jax.errors import BadInput
from vlm3_jax.hub.load import load_hf

NORM = "model.language_model.norm.weight"
BIAS = "model.visual.blocks.2.attn.qkv.bias"
PROJ = "model.language_model.layers.1.self_attn.q_proj.weight"
EMBEDDING = "model.language_model.embed_tokens.weight"


@pytest.fixture
def folder(tiny_hf, tmp_path):
    return copy_assets(tiny_hf, tmp_path / "hf")


@pytest.fixture
def tensors(tiny_hf):
    return read_tensors(tiny_hf)


def message_of(folder) -> str:
    """The message of the error that the import raises; one line."""
    with pytest.raises(BadInput) as caught:
        load_hf(folder)
    text = str(caught.value)
    assert "\n" not in text
    assert str(folder) in text
    return text


@pytest.mark.parametrize("files", [1, FILES])
def test_all_misfits_are_listed(folder, tensors, files):
    del tensors[NORM], tensors[BIAS]
    tensors["model.visual.extra.weight"] = np.ones(3, np.float32)
    tensors["other"] = np.ones(3, np.float32)
    tensors[PROJ] = tensors[PROJ][:-1].copy()
    tensors["model.visual.pos_embed.weight"] = np.ones((64, 48), np.int64)
    write_tensors(folder, tensors, files)

    text = message_of(folder)

    for part in (
        f"missing (2): {BIAS}, {NORM}",
        "extra (2): ",
        "model.visual.extra.weight",
        "other",
        f"wrong shape (1): {PROJ} is [127, 64] and should be [128, 64]",
        "model.visual.pos_embed.weight is I64",
    ):
        assert part in text


def test_a_transposed_tensor_is_refused(folder, tensors):
    name = "model.visual.merger.linear_fc2.weight"
    tensors[name] = np.ascontiguousarray(tensors[name].T)
    write_tensors(folder, tensors)
    assert f"{name} is [192, 64] and should be [64, 192]" in message_of(folder)


def test_an_untied_config_without_a_head(folder, tensors):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "tie_word_embeddings": False}))
    write_tensors(folder, tensors)
    assert "missing (1): lm_head.weight" in message_of(folder)


@pytest.mark.parametrize("change", ["value", "shape"])
def test_a_tied_head_that_differs(folder, tensors, change):
    head = tensors[EMBEDDING].copy()
    if change == "value":
        head[-1, -1] += 1
    else:
        head = head[:-1]
    write_tensors(folder, {**tensors, "lm_head.weight": head})
    assert "tie_word_embeddings" in message_of(folder)


@pytest.mark.parametrize("keep", [0, 5, 1000, -1], ids=["empty", "length", "header", "data"])
@pytest.mark.parametrize("files", [1, FILES])
def test_a_truncated_file(folder, tensors, files, keep):
    write_tensors(folder, tensors, files)
    last = sorted(folder.glob("*.safetensors"))[-1]
    last.write_bytes(last.read_bytes()[:keep])
    text = message_of(folder)
    assert str(last) in text and "truncated" in text


def test_an_unreadable_header(folder):
    header = b"{not json"
    data = struct.pack("<Q", len(header)) + header
    (folder / "model.safetensors").write_bytes(data)
    assert "no safetensors file" in message_of(folder)


def test_a_pointer_file_instead_of_weights(folder):
    (folder / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid 1\n")
    assert "no safetensors file" in message_of(folder)


def test_missing_files_of_the_index(folder, tensors):
    write_tensors(folder, tensors, FILES)
    names = sorted(path.name for path in folder.glob("*.safetensors"))
    for name in names[1:]:
        (folder / name).unlink()
    text = message_of(folder)
    assert all(name in text for name in names[1:]) and names[0] not in text


def test_an_index_that_names_an_absent_tensor(folder, tensors):
    write_tensors(folder, tensors, FILES)
    path = folder / "model.safetensors.index.json"
    index = json.loads(path.read_text())
    index["weight_map"]["ghost"] = "model-00001-of-00003.safetensors"
    path.write_text(json.dumps(index))
    text = message_of(folder)
    assert "ghost is not in model-00001-of-00003.safetensors" in text


@pytest.mark.parametrize("elsewhere", [True, False])
def test_a_tensor_that_the_index_does_not_place_there(folder, tensors, elsewhere):
    write_tensors(folder, tensors, FILES)
    path = folder / "model.safetensors.index.json"
    index = json.loads(path.read_text())
    home = index["weight_map"].pop(NORM)
    if elsewhere:
        others = sorted(set(index["weight_map"].values()) - {home})
        index["weight_map"][NORM] = others[0]
    path.write_text(json.dumps(index))
    assert f"{NORM} is in {home} but" in message_of(folder)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"weight_map": {}}', '{"weight_map": {"a": 1}}']
)
def test_a_broken_index(folder, text):
    (folder / "model.safetensors.index.json").write_text(text)
    assert "model.safetensors.index.json" in message_of(folder)


def test_no_weights(folder):
    assert "holds no weights" in message_of(folder)


def test_weights_of_the_old_format_only(folder):
    (folder / "pytorch_model.bin").write_bytes(b"x")
    assert "holds no weights" in message_of(folder)


def test_another_architecture(folder, tensors):
    write_tensors(folder, tensors)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "qwen2_vl"}))
    assert "qwen2_vl" in message_of(folder)


def test_no_config(folder, tensors):
    write_tensors(folder, tensors)
    (folder / "config.json").unlink()
    assert "config.json" in message_of(folder)
