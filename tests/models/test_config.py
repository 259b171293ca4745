import json
import shutil

import jax
import numpy as np
import pytest
import torch
from transformers import AutoModelForImageTextToText
from transformers import Qwen3VLConfig as HFConfig

from launch.model_sizes import SIZES
from vlm3_jax.errors import BadInput
from vlm3_jax.models.functional import abstract_params
from vlm3_jax.models.qwen3_vl.config import Qwen3VLConfig


@pytest.fixture
def folder(tiny_hf, tmp_path):
    shutil.copytree(tiny_hf, tmp_path / "model")
    return tmp_path / "model"


def edit(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_released_layout_of_rope_settings_is_read(folder):
    """Checkpoints of 2025 hold `rope_scaling` and `rope_theta` where newer ones have one dict."""
    expected = Qwen3VLConfig.from_folder(folder)
    text = json.loads((folder / "config.json").read_text())["text_config"]
    rope = text.pop("rope_parameters")
    text["rope_theta"] = rope.pop("rope_theta")
    edit(folder, text_config=text | {"rope_scaling": rope})
    assert Qwen3VLConfig.from_folder(folder) == expected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "qwen2_5_vl"}, "'qwen2_5_vl'"),
        ({"model_type": "qwen3_vl_moe"}, "'qwen3_vl_moe'"),
        ({"text_config": {"hidden_act": "gelu"}}, "hidden_act"),
        ({"text_config": {"hidden_size": "wide"}}, "config.json"),
    ],
)
def test_another_architecture_is_refused(folder, changes, message):
    edit(folder, **changes)
    with pytest.raises(BadInput, match=message):
        Qwen3VLConfig.from_folder(folder)


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json"])
def test_missing_and_broken_files_are_named(folder, name):
    (folder / name).write_text("{")
    with pytest.raises(BadInput, match=f"{name} is no valid JSON"):
        Qwen3VLConfig.from_folder(folder)
    (folder / name).unlink()
    with pytest.raises(BadInput, match=f"{name} does not exist"):
        Qwen3VLConfig.from_folder(folder)


@pytest.mark.parametrize("size", SIZES)
def test_every_size_has_the_parameters_of_transformers(size, folder):
    """Counted on the meta device by transformers."""
    hf = HFConfig(
        text_config=SIZES[size].text,
        vision_config=SIZES[size].vision,
        tie_word_embeddings=SIZES[size].tied,
    )
    hf.save_pretrained(folder)
    ours = abstract_params(Qwen3VLConfig.from_folder(folder))
    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(hf)
    expected = sum(parameter.numel() for parameter in model.parameters())
    assert sum(np.prod(leaf.shape) for leaf in jax.tree.leaves(ours)) == expected
