"""The training step that a configuration asks for, and the state that it starts from."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

from vlm3_jax.hub.folder import load_params
from vlm3_jax.models.execution import Execution
from vlm3_jax.models.functional import Params, abstract_params, init_params
from vlm3_jax.models.inputs import Batch
from vlm3_jax.models.qwen3_vl.config import Qwen3VLConfig
from vlm3_jax.training.config import TrainConfig
from vlm3_jax.training.optimizer import check_patterns, make_optimizer, make_schedule
from vlm3_jax.training.step import Metrics, TrainState, abstract_state, new_state, train_step


class TrainProgram(NamedTuple):
    """What a run compiles, and what the state before its first step is made with."""

    execution: Execution
    optimizer: optax.GradientTransformation
    state: TrainState
    """Shapes, types and placements."""
    step: Callable[[TrainState, Batch], tuple[TrainState, Metrics]]


def train_program(config: TrainConfig, model: Qwen3VLConfig, mesh: Mesh) -> TrainProgram:
    """The step of a run on `mesh`; nothing is computed yet.

    Args:
        config: of the run.
        model: the shapes in `config.model.checkpoint`.
        mesh: where it runs, or would run.

    Raises:
        BadInput: `config.model.attention` does not run on the mesh's platform, or the optimizer's
            patterns fit no parameter.
    """
    execution = config.execution(mesh.devices.flat[0].platform)
    check_patterns(config.optimizer, abstract_params(model))
    schedule = make_schedule(config.optimizer, config.batch_size, config.total_steps)
    optimizer = make_optimizer(config.optimizer, schedule)
    frozen = config.optimizer.frozen
    state = abstract_state(model, optimizer, mesh, jnp.dtype(config.model.param_dtype), frozen)
    step = partial(
        train_step,
        config=model,
        optimizer=optimizer,
        schedule=schedule,
        compute_dtype=jnp.dtype(config.model.compute_dtype),
        max_supervised=config.data.max_supervised,
        execution=execution,
        frozen=frozen,
        accumulation=config.gradient_accumulation,
        num_sources=len(config.data.active_sources),
    )
    return TrainProgram(execution, optimizer, state, step)


def first_state(config: TrainConfig, model: Qwen3VLConfig, program: TrainProgram) -> TrainState:
    """The state before the first step, made where it shall live.

    Raises:
        BadInput: the checkpoint cannot be used.
    """
    placement = jax.tree.map(lambda leaf: leaf.sharding, program.state)
    dtype = jnp.dtype(config.model.param_dtype)
    if config.model.init == "random":

        def make_params() -> Params:
            return optax.tree.cast(init_params(model, config.seed), dtype)

        params = jax.jit(make_params, out_shardings=placement.params)()
    else:
        _, params = load_params(config.model.checkpoint, placement.params, dtype)
    make_state = partial(new_state, optimizer=program.optimizer, frozen=config.optimizer.frozen)
    return jax.jit(make_state, out_shardings=placement, donate_argnums=0)(params)
