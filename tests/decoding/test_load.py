import json

import pytest

from vlm3_jax.decoding.load import read_stop_tokens, resolve_dtype
from vlm3_jax.errors import BadInput


def folder_with(tmp_path, text: str):
    (tmp_path / "generation_config.json").write_text(text)
    return tmp_path


@pytest.mark.parametrize(("ids", "expected"), [(7, (7,)), ([7], (7,)), ([7, 9], (7, 9))])
def test_reads_one_stop_token_or_several(tmp_path, ids, expected):
    assert read_stop_tokens(folder_with(tmp_path, json.dumps({"eos_token_id": ids}))) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "names no eos_token_id"),
        ('{"eos_token_id": []}', "names no eos_token_id"),
        ('{"eos_token_id": "</s>"}', "names no eos_token_id"),
        ("[1]", "names no eos_token_id"),
        ("{", "is no valid JSON"),
    ],
)
def test_refuses_a_folder_without_stop_tokens(tmp_path, text, message):
    with pytest.raises(BadInput, match=message):
        read_stop_tokens(folder_with(tmp_path, text))


def test_refuses_a_folder_without_generation_config(tmp_path):
    with pytest.raises(BadInput, match=r"generation_config\.json does not exist"):
        read_stop_tokens(tmp_path)


def test_names_a_penalty_that_is_not_applied(tmp_path, caplog):
    settings = {"eos_token_id": 7, "repetition_penalty": 1.05}
    read_stop_tokens(folder_with(tmp_path, json.dumps(settings)))
    assert "repetition_penalty 1.05 is not applied" in caplog.text


def test_default_type_by_platform():
    assert resolve_dtype("auto") == "float32"  # Tests run on a CPU.
    assert resolve_dtype("bfloat16") == "bfloat16"
