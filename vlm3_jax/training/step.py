"""One training step: forward, backward and update under one jit."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

from vlm3_jax.models import functional
from vlm3_jax.models.execution import PLAIN, Execution
from vlm3_jax.models.functional import Params
from vlm3_jax.models.inputs import Batch
from vlm3_jax.models.qwen3_vl.config import Qwen3VLConfig
from vlm3_jax.parallel.sharding import batch_sharding, param_shardings, replicated
from vlm3_jax.training.flops import training_flops
from vlm3_jax.training.freezing import join, split
from vlm3_jax.training.loss import AnswerLoss, answer_loss

Metrics = dict[str, jax.Array]
T = TypeVar("T")


class TrainState(NamedTuple):
    """Everything that a step changes."""

    step: jax.Array
    """int32 []: number of updates done."""
    params: Params
    """All of them, also those that are not trained."""
    opt_state: optax.OptState
    """Of the trained parameters."""


def new_state(
    params: Params, optimizer: optax.GradientTransformation, frozen: Sequence[str] = ()
) -> TrainState:
    """The state before the first step; `frozen` as in `OptimizerConfig`."""
    trained, _ = split(params, frozen)
    return TrainState(jnp.zeros((), jnp.int32), params, optimizer.init(trained))


def abstract_state(
    config: Qwen3VLConfig,
    optimizer: optax.GradientTransformation,
    mesh: Mesh,
    param_dtype: Any = jnp.float32,
    frozen: Sequence[str] = (),
) -> TrainState:
    """Shapes, types and shardings of the state; optimizer moments lie where their parameters do."""
    params = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, param_dtype),
        functional.abstract_params(config),
    )
    state = jax.eval_shape(partial(new_state, optimizer=optimizer, frozen=frozen), params)
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
    max_supervised: int,
    execution: Execution = PLAIN,
    frozen: Sequence[str] = (),
    accumulation: int = 1,
    num_sources: int = 1,
) -> tuple[TrainState, Metrics]:
    """One update from one global batch.

    Every answer token of the batch counts the same, whatever row it is in.

    Args:
        state: what the step changes.
        batch: B rows.
        config: the model's shapes.
        optimizer: of the trained parameters.
        schedule: the optimizer's learning rate, for the metrics.
        compute_dtype: type of the forward and backward pass.
        max_supervised: see `answer_loss`.
        execution: how the model is computed.
        frozen: patterns of the parameters that are not trained.
        accumulation: parts that the rows go through in turn; divides B.
        num_sources: S, of the mixture that the samples come from.

    Returns:
        The new state and float32 scalars: `loss`, `accuracy` (share of answer tokens whose logit is
        the largest), `lr`, `grad_norm` (before clipping), and this batch's `num_samples`,
        `num_tokens` (without padding), `num_supervised` (answer tokens), `flops`, and `token_fill`
        and `patch_fill` (share of the rows that is not padding); and float32 [S] of each source:
        `source_loss` (nats, summed over its answer tokens), `source_supervised` and
        `source_samples`.
    """
    trained, kept = split(state.params, frozen)
    supervised, num_supervised = batch.loss_weights, jnp.sum(batch.loss_weights)
    of_source = partial(_sum_by_source, batch.source_ids, num_sources)
    # Weights that sum to one over the whole batch, so losses and gradients of its parts add up.
    batch = batch._replace(loss_weights=batch.loss_weights / jnp.maximum(num_supervised, 1.0))

    def loss_of(trained: Params, part: Batch) -> tuple[jax.Array, AnswerLoss]:
        params = jax.tree.map(lambda leaf: leaf.astype(compute_dtype), join(trained, kept))
        model = functional.build(config, params, execution)
        hidden = model(part.text, part.images)
        answers = answer_loss(
            hidden,
            model.head(),
            part.targets,
            part.loss_weights,
            max_supervised,
            groups=part.source_ids,
            num_groups=num_sources,
        )
        return answers.loss, answers

    def gradient(part: Batch) -> tuple[AnswerLoss, Params]:
        grads, answers = jax.grad(loss_of, has_aux=True)(trained, part)
        return answers, optax.tree.cast(grads, jnp.float32)

    answers, grads = _sum_over_parts(gradient, batch, accumulation)
    updates, opt_state = optimizer.update(grads, state.opt_state, trained)
    metrics = {
        "loss": answers.loss,
        "accuracy": answers.accuracy,
        "lr": schedule(state.step),
        "grad_norm": optax.global_norm(grads),
        "num_samples": jnp.sum(jnp.max(batch.text.segment_ids, axis=-1)),
        "num_supervised": num_supervised,
        "num_tokens": jnp.sum(batch.text.segment_ids > 0),
        "flops": training_flops(config, batch),
        "token_fill": jnp.mean(batch.text.segment_ids > 0),
        "patch_fill": jnp.mean(batch.images.segment_ids > 0),
        "source_loss": answers.group_losses * num_supervised,
        "source_supervised": of_source(supervised),
        "source_samples": of_source(_is_first_token(batch.text.segment_ids)),
    }
    metrics = {name: jnp.asarray(value, jnp.float32) for name, value in metrics.items()}
    params = join(optax.apply_updates(trained, updates), kept)
    return TrainState(state.step + 1, params, opt_state), metrics


def _sum_by_source(source_ids: jax.Array, num_sources: int, values: jax.Array) -> jax.Array:
    """Sums of `values`, [B, L], over the tokens of each source."""
    is_of = source_ids == jnp.arange(num_sources)[:, None, None]
    return jnp.sum(jnp.where(is_of, values, 0), axis=(1, 2))


def _is_first_token(segment_ids: jax.Array) -> jax.Array:
    """Where a sample begins, bool [B, L]; samples are numbered from 1 through a row."""
    return jnp.diff(segment_ids, axis=-1, prepend=0) > 0


def _sum_over_parts(function: Callable[[Batch], T], batch: Batch, count: int) -> T:
    """Sum of `function` over equal parts of the rows, one part after the other."""
    if count == 1:
        return function(batch)

    def parts(rows: jax.Array) -> jax.Array:
        # Part i takes rows i, i + count, ...: every device then has an equal share of each part.
        return jnp.swapaxes(rows.reshape(-1, count, *rows.shape[1:]), 0, 1)

    def add(total: T, part: Batch) -> tuple[T, None]:
        return jax.tree.map(jnp.add, total, function(part)), None

    parts_of_batch = jax.tree.map(parts, batch)
    first = jax.tree.map(lambda rows: rows[0], parts_of_batch)
    zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(function, first))
    return jax.lax.scan(add, zeros, parts_of_batch)[0]


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
    return trace_step(step, state, batch, mesh).lower().compile()


def trace_step(
    step: Callable[[TrainState, Batch], tuple[TrainState, Metrics]],
    state: TrainState,
    batch: Batch,
    mesh: Mesh,
) -> jax.stages.Traced:
    """The program that `compile_step`, with the same arguments, compiles."""
    placement = jax.tree.map(lambda leaf: leaf.sharding, state)
    jitted = jax.jit(
        step,
        in_shardings=(placement, batch_sharding(mesh)),
        out_shardings=(placement, replicated(mesh)),
        donate_argnums=0,
    )
    with jax.set_mesh(mesh):
        return jitted.trace(state, batch)
