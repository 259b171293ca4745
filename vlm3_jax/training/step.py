"""One training step: forward, backward and update under one jit."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

from vlm3_jax.models import functional
from vlm3_jax.models.functional import Params
from vlm3_jax.models.inputs import Batch
from vlm3_jax.models.qwen3_vl.config import Qwen3VLConfig
from vlm3_jax.parallel.sharding import batch_sharding, param_shardings, replicated
from vlm3_jax.training.flops import training_flops
from vlm3_jax.training.loss import AnswerLoss, answer_loss

Metrics = dict[str, jax.Array]


class TrainState(NamedTuple):
    """Everything that a step changes."""

    step: jax.Array
    """int32 []: number of updates done."""
    params: Params
    """float32 master weights."""
    opt_state: optax.OptState


def new_state(params: Params, optimizer: optax.GradientTransformation) -> TrainState:
    """The state before the first step."""
    return TrainState(jnp.zeros((), jnp.int32), params, optimizer.init(params))


def abstract_state(
    config: Qwen3VLConfig, optimizer: optax.GradientTransformation, mesh: Mesh
) -> TrainState:
    """Shapes, types and shardings of the state; optimizer moments lie where their parameters do."""
    params = functional.abstract_params(config)
    state = jax.eval_shape(partial(new_state, optimizer=optimizer), params)
    return jax.tree.map(
        lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
        state,
        param_shardings(state, mesh),
    )


def train_step(
    state: TrainState,
    batch: Batch,
    *,
    config: Qwen3VLConfig,
    optimizer: optax.GradientTransformation,
    schedule: optax.Schedule,
    compute_dtype: Any,
    remat: bool,
    max_supervised: int,
) -> tuple[TrainState, Metrics]:
    """One update from one global batch.

    Every answer token of the batch counts the same, whatever row it is in.

    Returns:
        The new state and float32 scalars: `loss`, `accuracy` (share of answer tokens whose logit is
        the largest), `lr`, `grad_norm` (before clipping), and this batch's `num_samples`,
        `num_tokens` (without padding), `num_supervised` (answer tokens) and `flops`.
    """

    num_supervised = jnp.sum(batch.loss_weights)
    weights = batch.loss_weights / jnp.maximum(num_supervised, 1.0)

    def loss_of(params: Params) -> tuple[jax.Array, AnswerLoss]:
        params = jax.tree.map(lambda leaf: leaf.astype(compute_dtype), params)
        model = functional.build(config, params, remat=remat)
        hidden = model(batch.text, batch.images)
        answers = answer_loss(hidden, model.head(), batch.targets, weights, max_supervised)
        return answers.loss, answers

    (_, answers), grads = jax.value_and_grad(loss_of, has_aux=True)(state.params)
    updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
    metrics = {
        **answers._asdict(),
        "lr": schedule(state.step),
        "grad_norm": optax.global_norm(grads),
        "num_samples": jnp.sum(jnp.max(batch.text.segment_ids, axis=-1)),
        "num_supervised": num_supervised,
        "num_tokens": jnp.sum(batch.text.segment_ids > 0),
        "flops": training_flops(config, batch),
    }
    metrics = {name: jnp.asarray(value, jnp.float32) for name, value in metrics.items()}
    params = optax.apply_updates(state.params, updates)
    return TrainState(state.step + 1, params, opt_state), metrics


def compile_step(
    step: Callable[[TrainState, Batch], tuple[TrainState, Metrics]],
    state: TrainState,
    batch: Batch,
    mesh: Mesh,
) -> jax.stages.Compiled:
    """Compiles a step ahead of its first use.

    The result takes a state, whose buffers it reuses, and a batch. It accepts these shapes and
    placements only, so a run cannot compile a second time in silence.

    Args:
        step: `train_step` with its keyword arguments bound.
        state: from `abstract_state`.
        batch: arrays or shapes of the global batch.
        mesh: where it runs.
    """
    placement = jax.tree.map(lambda leaf: leaf.sharding, state)
    jitted = jax.jit(
        step,
        in_shardings=(placement, batch_sharding(mesh)),
        out_shardings=(placement, replicated(mesh)),
        donate_argnums=0,
    )
    with jax.set_mesh(mesh):
        return jitted.lower(state, batch).compile()
