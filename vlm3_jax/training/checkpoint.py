"""Checkpoints of a run: parameters, optimizer, step and the place in the data."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import grain
import jax
import orbax.checkpoint as ocp
from absl import logging

from vlm3_jax.errors import BadInput
from vlm3_jax.hub.folder import host_gb
from vlm3_jax.models.functional import Params
from vlm3_jax.training.step import TrainState


@dataclass(frozen=True)
class CheckpointConfig:
    """When to save and what to keep; the last step is always saved."""

    every: int = 1000
    """Steps between two checkpoints."""
    keep: int = 3
    """Newest checkpoints that stay on disk."""

    def __post_init__(self):
        for name, value in (("every", self.every), ("keep", self.keep)):
            if value < 1:
                raise BadInput(f"{name} is {value}, but must be at least 1.")


class Checkpoints:
    """The checkpoints in one folder, written in the background, each appearing only when whole.

    A step holds the items `params` (nested dict, readable on its own), `train` (optimizer state and
    step) and `data` (the iterator's state, one file a process).
    """

    def __init__(self, folder: Path, keep: int, params: Params):
        """Touches nothing yet: the first `save` makes the folder.

        Args:
            folder: where they lie.
            keep: how many stay.
            params: arrays or shapes; a restore holds little more than the largest on the host.
        """
        self._folder, self._keep = folder, keep
        self._restore_gb = host_gb(jax.tree.leaves(params))

    @cached_property
    def _manager(self) -> ocp.CheckpointManager:
        options = ocp.CheckpointManagerOptions(max_to_keep=self._keep, cleanup_tmp_directories=True)
        handlers = {
            "params": ocp.StandardCheckpointHandler(restore_concurrent_gb=self._restore_gb),
            "train": ocp.StandardCheckpointHandler(restore_concurrent_gb=self._restore_gb),
            "data": grain.checkpoint.CheckpointHandler(),
        }
        return ocp.CheckpointManager(self._folder, options=options, item_handlers=handlers)

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *exception) -> None:
        if "_manager" in self.__dict__:
            self._manager.close()  # Waits for a save in the background.

    def latest_step(self) -> int | None:
        """The newest whole checkpoint."""
        return self._manager.latest_step() if self._folder.exists() else None

    def save(self, step: int, state: TrainState, data: grain.DatasetIterator) -> None:
        """Copies the state from the devices, then writes in the background.

        `data` must have given exactly the batches that `state` has seen.
        """
        items = ocp.args.Composite(
            params=ocp.args.StandardSave(state.params),
            train=ocp.args.StandardSave(_train_item(state)),
            data=grain.checkpoint.CheckpointSave(data),
        )
        self._manager.save(step, args=items)
        logging.info("step %d: saving a checkpoint", step)

    def restore(self, step: int, abstract: TrainState, data: grain.DatasetIterator) -> TrainState:
        """Reads the checkpoint of a step.

        Args:
            step: one that exists.
            abstract: shapes, types and shardings that the state shall have.
            data: set to the place where the run stopped.

        Raises:
            BadInput: another number of processes wrote it, so the places in the data do not fit.
        """
        written = len(list((self._folder / str(step) / "data").glob("process_*.json")))
        if written != jax.process_count():
            raise BadInput(
                f"{self._folder}/{step} was written by {written} processes, but this run"
                f" has {jax.process_count()}: resume with {written}."
            )
        items = ocp.args.Composite(
            params=ocp.args.StandardRestore(abstract.params),
            train=ocp.args.StandardRestore(_train_item(abstract)),
            data=grain.checkpoint.CheckpointRestore(data),
        )
        logging.info("resuming from %s/%d", self._folder, step)
        restored = self._manager.restore(step, args=items)
        return TrainState(params=restored.params, **restored.train)


def _train_item(state: TrainState) -> dict:
    return {"step": state.step, "opt_state": state.opt_state}
