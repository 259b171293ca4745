"""The training run, from start to end."""

from contextlib import closing
from pathlib import Path
from typing import Protocol

import jax
from absl import logging
from jax.sharding import Mesh

from vlm3_jax.boards import Boards
from vlm3_jax.config import to_dict
from vlm3_jax.data.encoder import Encoder
from vlm3_jax.data.pipeline import train_iterator
from vlm3_jax.hub import folder as hub
from vlm3_jax.models.attention.kernels import check_compiled
from vlm3_jax.models.functional import Params
from vlm3_jax.parallel.mesh import check_batch_size, make_mesh
from vlm3_jax.parallel.sharding import place_rows
from vlm3_jax.training.checkpoint import Checkpoints
from vlm3_jax.training.config import TrainConfig
from vlm3_jax.training.metrics import MetricsLog
from vlm3_jax.training.program import first_state, train_program
from vlm3_jax.training.step import TrainState, compile_step
from vlm3_jax.training.workdir import Workdir


class Observer(Protocol):
    """Looks at the model now and then, and changes nothing."""

    every: int
    """Steps from one look to the next; the last step is looked at too."""

    def look(self, step: int, params: Params, root: Path, assets: Path, boards: Boards) -> None:
        """Looks at the parameters after a step; every process calls it.

        Args:
            step: whose parameters they are.
            params: as they are trained.
            root: folder of the run.
            assets: in it, the Hugging Face folder without weights.
            boards: where something can be shown.
        """


def train(config: TrainConfig, workdir: str | Path, observer: Observer | None = None) -> None:
    """Trains until `total_steps`, from the workdir's newest checkpoint if it has one.

    Args:
        config: of the run.
        workdir: where it keeps its files.
        observer: looks at the model as it is trained.

    Raises:
        BadInput: something given cannot be used, and the workdir is as it was before; or, later,
            training diverged.
    """
    # ---- What is given; the workdir is not touched before all of it has proved usable.
    workdir = Workdir(workdir)
    workdir.check(config)
    is_new = not workdir.is_started
    mesh = make_mesh(config.mesh.replica, config.mesh.fsdp, config.mesh.tensor)
    check_batch_size(mesh, config.batch_size, config.gradient_accumulation)
    assets = hub.assets_dir(config.model.checkpoint) if is_new else workdir.assets
    encoder = Encoder.from_folder(assets)
    program = train_program(config, encoder.config, mesh)
    batches = train_iterator(
        config.data,
        encoder,
        batch_size=config.batch_size,
        seed=config.seed,
        process_index=jax.process_index(),
        process_count=jax.process_count(),
    )
    with (
        closing(batches),
        Checkpoints(
            workdir.checkpoints, config.checkpoint.keep, program.state.params
        ) as checkpoints,
    ):
        # ---- What is learned: new, or as the run left it when it stopped.
        done = checkpoints.latest_step() or 0
        if done == config.total_steps:
            logging.info("%s is trained to its last step, %d", workdir.root, done)
            return
        if done:
            state = checkpoints.restore(done, program.state, batches)
        else:
            state = first_state(config, encoder.config, program)

        # ---- The compiled step.
        batch = place_rows(next(batches), mesh, config.batch_size)
        logging.info(
            "compiling the step for %s, attention %s",
            _summary(program.state, mesh),
            program.execution.attention,
        )
        step_function = compile_step(program.step, program.state, batch, mesh)
        check_compiled(program.execution.attention, step_function.as_text())

        # ---- The run. Steps are queued on the devices; the host prepares the next batch meanwhile.
        if is_new:
            workdir.begin(config, assets)
        else:
            workdir.resume(config, done)
        tasks = {label: source.task for label, source in config.data.active_sources.items()}
        with (
            Boards(workdir.root, done + 1, config.wandb, to_dict(config)) as boards,
            MetricsLog(workdir, config.total_steps, config.log_every, tasks, boards) as metrics_log,
        ):
            for step in range(done + 1, config.total_steps + 1):
                state, metrics = step_function(state, batch)
                metrics_log.add(step, metrics)
                if step % config.checkpoint.every == 0 or step == config.total_steps:
                    metrics_log.flush()  # A state that diverged is not saved.
                    checkpoints.save(step, state, batches)
                if observer and (step % observer.every == 0 or step == config.total_steps):
                    with metrics_log.paused():
                        observer.look(step, state.params, workdir.root, workdir.assets, boards)
                if step < config.total_steps:
                    batch = place_rows(next(batches), mesh, config.batch_size)


def _summary(abstract: TrainState, mesh: Mesh) -> str:
    size = sum(leaf.size for leaf in jax.tree.leaves(abstract.params))
    axes = ", ".join(f"{axis} {size}" for axis, size in mesh.shape.items())
    kind = mesh.devices.flat[0].device_kind
    return f"{size / 1e6:.1f}M parameters on {mesh.size} x {kind} ({axes})"
