import json
import shutil

import pytest
from transformers import Qwen3VLConfig as HFConfig

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


# Parameters of the released models, counted on the meta device by transformers.
SHAPES = {
    "2B": (dict(hidden_size=2048, num_hidden_layers=28, intermediate_size=6144, heads=16), True),
    "4B": (dict(hidden_size=2560, num_hidden_layers=36, intermediate_size=9728, heads=32), True),
    "8B": (dict(hidden_size=4096, num_hidden_layers=36, intermediate_size=12288, heads=32), False),
    "32B": (dict(hidden_size=5120, num_hidden_layers=64, intermediate_size=25600, heads=64), False),
}


@pytest.mark.parametrize("size", SHAPES)
def test_released_shapes_have_the_parameters_of_transformers(size, folder):
    import jax
    import numpy as np
    import torch
    from transformers import AutoModelForImageTextToText

    text, tied = SHAPES[size]
    text = dict(text)
    large = size in ("8B", "32B")
    hf = HFConfig(
        text_config={
            "num_attention_heads": text.pop("heads"),
            "num_key_value_heads": 8,
            "head_dim": 128,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 5e6,
                "mrope_section": [24, 20, 20],
            },
            **text,
        },
        vision_config={
            "depth": 27 if large else 24,
            "hidden_size": 1152 if large else 1024,
            "intermediate_size": 4304 if large else 4096,
            "out_hidden_size": text["hidden_size"],
            "deepstack_visual_indexes": [8, 16, 24] if large else [5, 11, 17],
        },
        tie_word_embeddings=tied,
    )
    hf.save_pretrained(folder)
    ours = abstract_params(Qwen3VLConfig.from_folder(folder))
    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(hf)
    expected = sum(parameter.numel() for parameter in model.parameters())
    assert sum(np.prod(leaf.shape) for leaf in jax.tree.leaves(ours)) == expected
