"""Where people look at a run: TensorBoard, and Weights & Biases where it is asked for."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
from tensorboardX import SummaryWriter

from vlm3_jax.errors import BadInput


@dataclass(frozen=True)
class WandbConfig:
    """Weights & Biases, which needs `pip install wandb`; its key comes from `wandb login`."""

    project: str | None = None
    """None: not used."""
    name: str | None = None
    """Of the run; that of its folder if None."""
    mode: Literal["online", "offline"] = "online"
    """`offline` keeps what `wandb sync` sends later."""

    def __post_init__(self):
        if self.project is not None and find_spec("wandb") is None:
            raise BadInput("project needs wandb: run `pip install wandb`, or take it out.")


class Boards:
    """Writes scalars and pictures to all of them; only in the first process."""

    def __init__(
        self,
        folder: Path,
        first_step: int,
        wandb: WandbConfig = WandbConfig(),
        config: Mapping[str, Any] | None = None,
    ):
        """Begins a run, or goes on with one.

        Args:
            folder: of the run; TensorBoard's files come into its `tensorboard/`, those of Weights &
                Biases into its `wandb/`.
            first_step: that comes next; TensorBoard forgets those from it on that an interrupted
                run wrote.
            wandb: whether and how Weights & Biases is used.
            config: of the run, for Weights & Biases to show.
        """
        self._tensorboard = self._wandb = None
        if jax.process_index() != 0:
            return
        self._tensorboard = SummaryWriter(str(folder / "tensorboard"), purge_step=first_step)
        if wandb.project is not None:
            import wandb as service  # An optional package.

            self._wandb = service.init(
                project=wandb.project,
                name=wandb.name or folder.name,
                # The same folder is the same run, also after it was interrupted.
                id=_run_id(folder),
                resume="allow",
                dir=str(folder),
                mode=wandb.mode,
                config=dict(config or {}),
            )
            self._image = service.Image

    def __enter__(self) -> "Boards":
        return self

    def __exit__(self, *exception) -> None:
        if self._tensorboard is not None:
            self._tensorboard.close()
        if self._wandb is not None:
            self._wandb.finish()

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Shows figures of a step, by names such as `train/loss`."""
        if self._tensorboard is not None:
            for name, value in values.items():
                self._tensorboard.add_scalar(name, value, step)
        if self._wandb is not None:
            self._wandb.log(dict(values), step=step)

    def picture(self, step: int, name: str, pixels: np.ndarray, caption: str) -> None:
        """Shows a picture, uint8 [H, W, 3]."""
        if self._tensorboard is not None:
            self._tensorboard.add_image(name, pixels, step, dataformats="HWC")
            self._tensorboard.add_text(name, caption, step)
        if self._wandb is not None:
            self._wandb.log({name: self._image(pixels, caption=caption)}, step=step)


def _run_id(folder: Path) -> str:
    """The name that Weights & Biases knows the run of this folder by; made once."""
    path = folder / "wandb_run"
    if not path.exists():
        path.write_text(secrets.token_hex(8))
    return path.read_text()
