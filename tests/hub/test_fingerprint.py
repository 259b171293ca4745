import os
import shutil

import pytest

from vlm3_jax.errors import BadInput
from vlm3_jax.hub.fingerprint import fingerprint
from vlm3_jax.hub.folder import load_params, save_params_folder


def test_a_folder_has_one_until_something_changes(tiny_hf, tmp_path):
    folder = shutil.copytree(tiny_hf, tmp_path / "copy")  # Keeps the times.
    first = fingerprint(folder)
    assert fingerprint(tiny_hf) == first == fingerprint(str(folder))
    (folder / "notes.md").write_text("of no account")
    assert fingerprint(folder) == first
    (weights,) = folder.glob("*.safetensors")
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    changed = fingerprint(folder)
    assert changed != first
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    assert fingerprint(folder) not in (first, changed)


def test_large_files_are_known_by_their_times(tiny_hf, tmp_path):
    folder = shutil.copytree(tiny_hf, tmp_path / "copy")
    (folder / "more.safetensors").write_bytes(bytes(2 << 20))
    first = fingerprint(folder)
    os.utime(folder / "more.safetensors", (1, 1))
    assert fingerprint(folder) != first


def test_of_a_folder_of_ours_the_latest_step_counts(tiny_hf, tmp_path):
    assets, params = load_params(tiny_hf)
    save_params_folder(params, assets, tmp_path / "ours")
    first = fingerprint(tmp_path / "ours")
    assert first == fingerprint(tmp_path / "ours") != fingerprint(tiny_hf)
    step = tmp_path / "ours" / "checkpoints" / "0"
    shutil.copytree(step, step.with_name("7"))
    later = fingerprint(tmp_path / "ours")
    (step / "params" / "more").write_text("of an older step")
    assert fingerprint(tmp_path / "ours") == later
    with pytest.raises(BadInput, match="does not exist"):
        fingerprint(tmp_path / "none")
