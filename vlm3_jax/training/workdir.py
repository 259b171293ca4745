"""The folder of a training run."""

import json
from pathlib import Path

import jax

from vlm3_jax import config as configs
from vlm3_jax.errors import BadInput
from vlm3_jax.files import json_bytes, write_whole
from vlm3_jax.hub.folder import ASSETS, CHECKPOINTS
from vlm3_jax.hub.new_folder import new_folder
from vlm3_jax.hub.source import copy_assets
from vlm3_jax.training.config import FREE_KEYS, TrainConfig


class Workdir:
    """Where a run keeps its files.

    `config.json`, `assets/` (the Hugging Face folder without weights) and `checkpoints/` make it a
    checkpoint folder as well; `metrics.jsonl`, `tensorboard/` and `evaluations/` tell how it went.
    """

    def __init__(self, root: str | Path):
        self.root = Path(root).absolute()
        self.config = self.root / "config.json"
        self.assets = self.root / ASSETS
        self.checkpoints = self.root / CHECKPOINTS
        self.metrics = self.root / "metrics.jsonl"

    @property
    def is_started(self) -> bool:
        """Whether a run was begun here; it need not have saved anything yet."""
        return self.config.exists() and self.assets.is_dir()

    def check(self, config: TrainConfig) -> None:
        """Checks that the folder is new, empty or of a run with this configuration; writes nothing.

        Raises:
            BadInput: it is not; differing settings are named.
        """
        if not self.root.exists():
            return
        if not self.root.is_dir():
            raise BadInput(f"--workdir={self.root} is a file: name a folder.")
        if not self.is_started:
            if any(self.root.iterdir()):
                raise BadInput(
                    f"--workdir={self.root} is not empty and holds no training run: name a new one."
                )
            return
        differences = configs.differences(
            _decisive(json.loads(self.config.read_text())), _decisive(configs.to_dict(config))
        )
        if differences:
            raise BadInput(
                f"--workdir={self.root} holds a run with another configuration: name a new folder,"
                f" or take back {'; '.join(differences)}."
            )

    def begin(self, config: TrainConfig, assets: Path) -> None:
        """Makes the folder with the configuration and the assets in it; it appears whole."""
        with new_folder(self.root) as folder:
            if jax.process_index() == 0:
                _write_config(folder / self.config.name, config)
                (folder / ASSETS).mkdir()
                copy_assets(assets, folder / ASSETS)

    def resume(self, config: TrainConfig, step: int) -> None:
        """Notes the configuration and drops the metrics of steps after `step`, which come again."""
        if jax.process_index() != 0:
            return
        _write_config(self.config, config)
        if self.metrics.exists():
            lines = self.metrics.read_text().splitlines(keepends=True)
            whole = (line for line in lines if line.endswith("\n"))  # A crash may cut the last.
            kept = [line for line in whole if json.loads(line)["step"] <= step]
            write_whole(self.metrics, "".join(kept).encode())


def _write_config(path: Path, config: TrainConfig) -> None:
    write_whole(path, json_bytes(configs.to_dict(config)))


def _decisive(config: dict) -> dict:
    return {key: value for key, value in config.items() if key not in FREE_KEYS}
