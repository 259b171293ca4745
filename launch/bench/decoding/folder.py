"""The Hugging Face folder that all sides start from; the checkpoint itself is left alone."""

import json
from pathlib import Path

from launch.bench.process import in_own_process
from vlm3_jax.hub import folder as hub
from vlm3_jax.hub.export import save_hf

_GENERATION_CONFIG = "generation_config.json"
_NO_TOKEN = -1


def prepare(checkpoint: str, scratch: Path, fixed_length: bool) -> Path:
    """Finds or makes the folder.

    Args:
        checkpoint: Hugging Face folder, hub id, or folder that `train` or `convert` wrote.
        scratch: where weights go that no Hugging Face folder holds.
        fixed_length: whether no token shall end an answer.

    Raises:
        BadInput: the checkpoint cannot be used.
    """
    assets = hub.assets_dir(checkpoint)
    weights = assets
    if not any(assets.glob("*.safetensors")):
        weights = scratch / "weights"
        in_own_process(_export, checkpoint, assets, weights)
    return _endless(weights, scratch / "endless") if fixed_length else weights


def _export(checkpoint: str, assets: Path, dst: Path) -> None:
    save_hf(hub.load_params(checkpoint)[1], assets, dst)


def _endless(source: Path, folder: Path) -> Path:
    """Links to all files of `source`, and a generation config without a token that stops."""
    folder.mkdir()
    for path in source.iterdir():
        if path.name != _GENERATION_CONFIG:
            (folder / path.name).symlink_to(path.absolute())
    settings = json.loads((source / _GENERATION_CONFIG).read_text())
    settings["eos_token_id"] = [_NO_TOKEN]
    (folder / _GENERATION_CONFIG).write_text(json.dumps(settings))
    return folder
