"""Finding a checkpoint, on this machine or on the hub, and the files of it that are no weights."""

import fnmatch
import re
import shutil
from pathlib import Path

import huggingface_hub
from absl import logging
from huggingface_hub import errors as hub_errors

from vlm3_jax.errors import BadInput

ASSET_PATTERNS = ("*.json", "*.txt", "*.jinja", "LICENSE*")
"""Config, generation config, tokenizer, processors, chat template, licence."""
WEIGHT_PATTERNS = ("*.safetensors", "*.safetensors.index.json")
_INDEX_PATTERN = "*.index.json"
_HUB_ERRORS = (
    OSError,
    hub_errors.HTTPError,
    hub_errors.EntryNotFoundError,
    hub_errors.HFValidationError,
)


def find_folder(ckpt: str | Path, weights: bool) -> Path:
    """The folder of a checkpoint; one on the hub is fetched into the hub's cache.

    Args:
        ckpt: a folder, or a hub id like `Qwen/Qwen3-VL-4B-Instruct`.
        weights: whether the weights are needed too.

    Raises:
        BadInput: there is no such folder, and no such model that the hub or its cache can give.
    """
    folder = Path(ckpt)
    if folder.is_dir():
        return folder
    if folder.exists():
        raise BadInput(f"{ckpt} is a file: give the folder of the checkpoint.")
    if not re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", str(ckpt)):
        raise BadInput(
            f"{ckpt} does not exist: give a checkpoint folder or a hub id like Qwen/NAME."
        )
    patterns = [*ASSET_PATTERNS, *(WEIGHT_PATTERNS if weights else ())]
    try:
        return Path(huggingface_hub.snapshot_download(str(ckpt), allow_patterns=patterns))
    except _HUB_ERRORS as error:
        raise BadInput(
            f"{ckpt} is no folder here, and the hub does not give it: {_first_line(error)}"
        ) from error


def asset_files(folder: Path) -> list[Path]:
    """The files of a checkpoint folder that go along with its weights."""
    return sorted(path for path in folder.iterdir() if path.is_file() and _is_asset(path.name))


def weight_files(folder: Path) -> list[Path]:
    """The files of a checkpoint folder that hold its weights."""
    return sorted(path for path in folder.iterdir() if path.is_file() and _is_weights(path.name))


def copy_assets(folder: Path, dst: Path) -> None:
    """Copies the assets of a checkpoint folder and names in the log what it leaves."""
    files = asset_files(folder)
    for path in files:
        shutil.copyfile(path, dst / path.name)
    left = sorted({path.name for path in folder.iterdir()} - {path.name for path in files})
    left = [name for name in left if not _is_weights(name)]
    logging.info("copied %s", ", ".join(path.name for path in files))
    if left:
        logging.info("left out %s", ", ".join(left))


def _is_asset(name: str) -> bool:
    return not fnmatch.fnmatch(name, _INDEX_PATTERN) and _matches(name, ASSET_PATTERNS)


def _is_weights(name: str) -> bool:
    return _matches(name, WEIGHT_PATTERNS)


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatch(name, pattern) for pattern in patterns)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
