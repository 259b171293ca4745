import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest

from tests.hub.folders import copy_assets
from vlm3_jax.errors import BadInput
from vlm3_jax.hub import source
from vlm3_jax.hub.folder import assets_dir, load_params, save_params_folder
from vlm3_jax.hub.load import load_hf


@pytest.fixture(scope="module")
def params(tiny_hf):
    return load_hf(tiny_hf)


@pytest.fixture
def ours(tiny_hf, params, tmp_path):
    save_params_folder(params, tiny_hf, tmp_path / "ours")
    return tmp_path / "ours"


def assert_same(found, expected):
    jax.tree.map(np.testing.assert_array_equal, found, expected)


def save_training_step(folder, step, params):
    items = {"params": params, "train": {"mu": params, "step": jnp.int32(step)}}
    saves = {name: ocp.args.StandardSave(item) for name, item in items.items()}
    with ocp.CheckpointManager(folder / "checkpoints") as manager:
        manager.save(step, args=ocp.args.Composite(**saves, data=ocp.args.JsonSave({"at": step})))


def test_parameters_of_the_newest_step_of_a_run(tiny_hf, params, tmp_path):
    copy_assets(tiny_hf, tmp_path / "assets")
    save_training_step(tmp_path, 9, jax.tree.map(jnp.zeros_like, params))
    save_training_step(tmp_path, 10, params)
    # What a save in progress and a user leave there.
    (tmp_path / "checkpoints" / "11.orbax-checkpoint-tmp-1").mkdir()
    (tmp_path / "checkpoints" / "notes").mkdir()

    assets, found = load_params(tmp_path)

    assert assets == tmp_path / "assets"
    assert_same(found, params)


def test_the_stored_type_stays_and_another_is_given(ours, params):
    assert {leaf.dtype for leaf in jax.tree.leaves(load_params(ours)[1])} == {jnp.dtype("float32")}
    found = load_params(ours, dtype="bfloat16")[1]
    assert_same(found, jax.tree.map(lambda leaf: np.asarray(leaf).astype(jnp.bfloat16), params))


def test_assets_of_every_kind_of_checkpoint(tiny_hf, ours):
    assert assets_dir(tiny_hf) == tiny_hf
    assert assets_dir(str(ours)) == ours / "assets"
    assert not list((ours / "assets").glob("*.safetensors*"))


def test_a_relative_path(ours, params, monkeypatch):
    monkeypatch.chdir(ours.parent)
    assert_same(load_params("ours")[1], params)


def expect_bad(ckpt, *parts):
    with pytest.raises(BadInput) as caught:
        load_params(ckpt)
    text = str(caught.value)
    assert "\n" not in text
    for part in parts:
        assert part in text


def test_a_checkpoint_that_does_not_fit_its_config(ours):
    path = ours / "assets" / "config.json"
    config = json.loads(path.read_text())
    config["tie_word_embeddings"] = False
    config["text_config"]["intermediate_size"] = 80
    path.write_text(json.dumps(config))
    expect_bad(ours, "missing (1): lm_head/kernel", "wrong shape (3)", "text/layers/mlp/up_proj")


def test_no_finished_checkpoint(ours):
    shutil.rmtree(ours / "checkpoints" / "0")
    (ours / "checkpoints" / "1.orbax-checkpoint-tmp-1").mkdir()
    expect_bad(ours, "holds no finished checkpoint")


def test_a_step_without_parameters(ours):
    shutil.rmtree(ours / "checkpoints" / "0" / "params")
    expect_bad(ours, "params cannot be read")


def test_a_truncated_checkpoint(ours):
    files = [path for path in ours.glob("checkpoints/0/params/**/d/*") if path.is_file()]
    largest = max(files, key=lambda path: path.stat().st_size)
    largest.write_bytes(largest.read_bytes()[: largest.stat().st_size // 2])
    expect_bad(ours, "params cannot be read")


def test_no_assets(ours):
    shutil.rmtree(ours / "assets")
    expect_bad(ours, "assets holds no config.json")


def test_no_checkpoint_at_all(tmp_path):
    (tmp_path / "file").write_text("x")
    expect_bad(tmp_path / "none", f"{tmp_path / 'none'} does not exist")
    expect_bad(tmp_path / "file", "is a file")
    expect_bad(tmp_path, f"{tmp_path} holds no config.json")


@pytest.fixture
def hub_cache(tmp_path, monkeypatch):
    """An empty hub cache, and no network."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    return tmp_path / "cache"


def test_a_hub_id_that_cannot_be_fetched(hub_cache):
    expect_bad("Qwen/Qwen3-VL-4B-Instruct", "Qwen/Qwen3-VL-4B-Instruct is no folder here", "HF_HUB")


def test_a_hub_id_in_the_cache(hub_cache, tiny_hf, params):
    repository = hub_cache / "models--someone--tiny"
    revision = "0" * 40
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(revision)
    shutil.copytree(tiny_hf, repository / "snapshots" / revision)

    assets, found = load_params("someone/tiny")

    assert assets == repository / "snapshots" / revision
    assert_same(found, params)


def test_only_what_is_needed_is_fetched(tiny_hf, monkeypatch):
    asked = []

    def download(name, allow_patterns):
        asked.append(allow_patterns)
        return str(tiny_hf)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    source.find_folder("someone/tiny", weights=False)
    source.find_folder("someone/tiny", weights=True)
    assert not any("safetensors" in pattern for pattern in asked[0])
    assert "*.safetensors" in asked[1] and set(asked[0]) < set(asked[1])
