import itertools
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
import torch
from safetensors import safe_open
from transformers import AutoModelForImageTextToText, AutoTokenizer

from tests.hub.folders import (
    FILES,
    assert_same_bits,
    copy_assets,
    random_bits,
    read_tensors,
    reference_shapes,
    write_tensors,
)
from vlm3_jax.errors import BadInput
from vlm3_jax.hub.export import save_hf
from vlm3_jax.hub.folder import load_params, save_params_folder
from vlm3_jax.hub.load import load_hf


@pytest.fixture
def folder_of(tiny_hf, tiny_hf_untied, tmp_path):
    """Makes a Hugging Face folder of random bits; returns it and its tensors."""

    def make(dtype="bfloat16", tied=True, files=1) -> tuple[Path, dict[str, np.ndarray]]:
        folder = copy_assets(tiny_hf if tied else tiny_hf_untied, tmp_path / "hf")
        tensors = random_bits(reference_shapes(folder), dtype)
        write_tensors(folder, tensors, files)
        return folder, tensors

    return make


@pytest.mark.parametrize("files", [1, FILES], ids=["one file", "many files"])
@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_import_then_export_keeps_every_bit(folder_of, tmp_path, dtype, tied, files):
    folder, tensors = folder_of(dtype, tied, files)
    total = sum(array.nbytes for array in tensors.values())

    params = load_hf(folder)
    save_hf(params, folder, tmp_path / "out", max_shard_bytes=total // files + 1)

    shards = list((tmp_path / "out").glob("*.safetensors"))
    assert len(shards) == 1 if files == 1 else len(shards) >= FILES
    assert_same_bits(read_tensors(tmp_path / "out"), tensors)
    assert json.loads((tmp_path / "out" / "config.json").read_text())["dtype"] == dtype


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_our_own_folder_keeps_every_bit(folder_of, tmp_path, dtype):
    folder, tensors = folder_of(dtype)

    save_params_folder(load_hf(folder), folder, tmp_path / "ours")
    assets, params = load_params(tmp_path / "ours")
    save_hf(params, assets, tmp_path / "out")

    assert_same_bits(read_tensors(tmp_path / "out"), tensors)


def test_parameters_lie_where_the_model_wants_them(tiny_hf_untied):
    params = load_hf(tiny_hf_untied)
    torch_weights = AutoModelForImageTextToText.from_pretrained(tiny_hf_untied).state_dict()
    text, vision = params["text"]["layers"], params["vision"]
    pairs = {
        "model.language_model.layers.3.self_attn.q_proj.weight": text["attn"]["q_proj"]["kernel"][
            3
        ].T,
        "model.language_model.layers.0.mlp.down_proj.weight": text["mlp"]["down_proj"]["kernel"][
            0
        ].T,
        "model.language_model.layers.2.input_layernorm.weight": text["input_norm"]["scale"][2],
        "model.visual.blocks.4.attn.qkv.bias": vision["blocks"]["attn"]["qkv"]["bias"][4],
        "model.visual.deepstack_merger_list.1.linear_fc2.weight": vision["deepstack_mergers"][
            "fc2"
        ]["kernel"][1].T,
        "lm_head.weight": params["lm_head"]["kernel"].T,
    }
    for name, ours in pairs.items():
        np.testing.assert_array_equal(torch_weights[name].numpy(), ours)


@pytest.mark.parametrize("max_shard_bytes", [10**9, 300_000], ids=["one file", "many files"])
@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
def test_transformers_opens_the_export(request, tmp_path, tied, max_shard_bytes):
    folder = request.getfixturevalue("tiny_hf" if tied else "tiny_hf_untied")
    save_hf(load_hf(folder), folder, tmp_path / "out", max_shard_bytes=max_shard_bytes)

    model, info = AutoModelForImageTextToText.from_pretrained(
        tmp_path / "out", output_loading_info=True
    )
    assert not any(info.values()), info
    reference = AutoModelForImageTextToText.from_pretrained(folder)
    for (name, mine), theirs in zip(
        model.state_dict().items(), reference.state_dict().values(), strict=True
    ):
        assert torch.equal(mine, theirs), name
    tokens = torch.arange(12)[None]
    assert torch.equal(model(tokens).logits, reference(tokens).logits)
    assert model.generation_config.eos_token_id == reference.generation_config.eos_token_id
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    message = [{"role": "user", "content": "how far is it?"}]
    expected = AutoTokenizer.from_pretrained(folder).apply_chat_template(message)
    assert tokenizer.apply_chat_template(message)["input_ids"] == expected["input_ids"]


def test_files_follow_the_limit_and_the_index_names_them(tiny_hf, tmp_path):
    save_hf(load_hf(tiny_hf), tiny_hf, tmp_path / "out", max_shard_bytes=300_000)

    index = json.loads((tmp_path / "out" / "model.safetensors.index.json").read_text())
    names = sorted(path.name for path in (tmp_path / "out").glob("*.safetensors"))
    assert names == [
        f"model-{i:05d}-of-{len(names):05d}.safetensors" for i in range(1, len(names) + 1)
    ]
    assert sorted(set(index["weight_map"].values())) == names
    sizes = []
    for file_name in names:
        with safe_open(tmp_path / "out" / file_name, "numpy") as file:
            assert file.metadata() == {"format": "pt"}
            size = sum(file.get_tensor(name).nbytes for name in file.keys())  # noqa: SIM118
            assert all(index["weight_map"][name] == file_name for name in file.keys())  # noqa: SIM118
        sizes.append(size)
    assert max(sizes) <= 300_000
    assert all(a + b > 300_000 for a, b in itertools.pairwise(sizes))  # None is split in vain.
    assert index["metadata"]["total_size"] == sum(sizes)


def test_assets_go_along_and_the_rest_stays(tiny_hf, tmp_path):
    folder = copy_assets(tiny_hf, tmp_path / "hf")
    write_tensors(folder, read_tensors(tiny_hf), FILES)
    (folder / "LICENSE").write_text("free")
    (folder / "README.md").write_text("of the original model")
    (folder / "pytorch_model.bin").write_bytes(b"old")
    save_hf(load_hf(folder), folder, tmp_path / "out")

    assets = {path.name for path in tiny_hf.iterdir()} | {"LICENSE"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == assets
    for name in assets - {"config.json", "model.safetensors"}:
        assert (tmp_path / "out" / name).read_bytes() == (folder / name).read_bytes()


@pytest.mark.parametrize("ours", [False, True], ids=["hf", "ours"])
def test_loading_as_bfloat16_rounds_as_torch_does(tiny_hf, tmp_path, ours):
    if ours:
        save_params_folder(load_hf(tiny_hf), tiny_hf, tmp_path / "ckpt")
    params = load_params(tmp_path / "ckpt" if ours else tiny_hf, dtype="bfloat16")[1]
    assert all(leaf.dtype == jnp.bfloat16 for leaf in jax.tree.leaves(params))
    save_hf(params, tiny_hf, tmp_path / "out")

    model = AutoModelForImageTextToText.from_pretrained(tiny_hf, dtype=torch.bfloat16)
    weights = model.state_dict()
    for name, array in read_tensors(tmp_path / "out").items():
        bits = weights[name].view(torch.int16).numpy()
        np.testing.assert_array_equal(array.view(np.int16), bits, err_msg=name)


def test_exporting_as_bfloat16_is_loading_as_bfloat16(tiny_hf, tmp_path):
    save_hf(load_hf(tiny_hf), tiny_hf, tmp_path / "a", dtype="bfloat16")
    save_hf(load_hf(tiny_hf, dtype="bfloat16"), tiny_hf, tmp_path / "b")

    assert_same_bits(read_tensors(tmp_path / "a"), read_tensors(tmp_path / "b"))
    config = json.loads((tmp_path / "a" / "config.json").read_text())
    assert config["dtype"] == config["text_config"]["dtype"] == "bfloat16"
    model = AutoModelForImageTextToText.from_pretrained(tmp_path / "a")
    assert model.dtype == torch.bfloat16


def test_layers_of_different_types_are_widened(tiny_hf, tmp_path):
    folder = copy_assets(tiny_hf, tmp_path / "hf")
    tensors = {k: v.astype(ml_dtypes.bfloat16) for k, v in read_tensors(tiny_hf).items()}
    name = "model.language_model.layers.1.input_layernorm.weight"
    tensors[name] = read_tensors(tiny_hf)[name]
    write_tensors(folder, tensors)

    layers = load_hf(folder)["text"]["layers"]

    assert layers["input_norm"]["scale"].dtype == jnp.float32
    np.testing.assert_array_equal(layers["input_norm"]["scale"][1], tensors[name])
    assert layers["post_attention_norm"]["scale"].dtype == jnp.bfloat16


def test_a_redundant_tied_head_is_accepted(folder_of):
    folder, tensors = folder_of("float32", tied=True)
    head = {"lm_head.weight": tensors["model.language_model.embed_tokens.weight"]}
    write_tensors(folder, {**tensors, **head})
    assert "lm_head" not in load_hf(folder)


def test_a_wrong_tree_is_not_exported(tiny_hf, tmp_path):
    params = load_hf(tiny_hf)
    params["lm_head"] = {"kernel": jnp.zeros((64, 384))}
    with pytest.raises(ValueError, match=r"extra \(1\): lm_head/kernel"):
        save_hf(params, tiny_hf, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_nothing_is_left_of_an_export_that_fails(tiny_hf, tmp_path, monkeypatch):
    params = load_hf(tiny_hf)

    def fail(*args):
        raise OSError("no space left")

    monkeypatch.setattr("vlm3_jax.hub.source.copy_assets", fail)
    for save in (save_hf, save_params_folder):
        with pytest.raises(OSError, match="no space left"):
            save(params, tiny_hf, tmp_path / "out")
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("save", [save_hf, save_params_folder])
def test_a_folder_in_use_is_not_overwritten(tiny_hf, tmp_path, save):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(BadInput, match="exists and is not empty"):
        save(load_hf(tiny_hf), tiny_hf, tmp_path / "out")
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "mine.txt"]


@pytest.mark.parametrize("save", [save_hf, save_params_folder])
def test_an_empty_folder_and_a_killed_run_are_no_obstacle(tiny_hf, tmp_path, save):
    (tmp_path / "out").mkdir()
    (tmp_path / "out.partial").mkdir()
    (tmp_path / "out.partial" / "half.safetensors").write_text("half")
    save(load_hf(tiny_hf), tiny_hf, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert not list((tmp_path / "out").rglob("half.safetensors"))
