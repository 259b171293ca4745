"""Next-token cross entropy on the answers, without the logits of anything else."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec

from vlm3_jax.parallel.mesh import BATCH_AXES

CHUNK_SIZE = 1024
"""Positions of a device whose logits exist at one time."""


class AnswerLoss(NamedTuple):
    """Weighted sums over the supervised positions of a batch, float32."""

    loss: jax.Array
    """Cross entropy in nats."""
    accuracy: jax.Array
    """1 where no logit is larger than the target's, else 0."""
    group_losses: jax.Array
    """float32 [G]: the part of `loss` in each group of positions."""


def answer_loss(
    hidden: jax.Array,
    head: jax.Array,
    targets: jax.Array,
    weights: jax.Array,
    max_supervised: int,
    chunk_size: int | None = None,
    groups: jax.Array | None = None,
    num_groups: int = 1,
) -> AnswerLoss:
    """Cross entropy of the positions that have a weight.

    These are gathered first, so the head works on `max_supervised` positions a row, a chunk at a
    time; the backward pass computes a chunk's logits again. Each device works on its own rows: the
    head is collected from the devices once, before the first chunk, and its gradient is summed over
    them once, after the last.

    Args:
        hidden: [B, L, D]; position i predicts `targets` i.
        head: [D, V], of the type of `hidden`.
        targets: int32 [B, L].
        weights: float32 [B, L], 0 where nothing is to be learned; for a mean they sum to one.
        max_supervised: no row has more positions with a weight; those of a row that had would not
            all count, which is why `data.batch.check_size` refuses it.
        chunk_size: positions of a device in a chunk; `CHUNK_SIZE` if None.
        groups: int32 [B, L], the group of each position, from 0; one group if None.
        num_groups: G.
    """
    if groups is None:
        groups = jnp.zeros_like(targets)
    sums = partial(
        _sums,
        max_supervised=max_supervised,
        chunk_size=chunk_size or CHUNK_SIZE,
        num_groups=num_groups,
    )
    if jax.sharding.get_abstract_mesh().empty:
        return _answer_loss(sums(hidden, head, targets, weights, groups))
    rows = PartitionSpec(BATCH_AXES)

    def on_own_rows(hidden, head, *of_positions):
        # Marked as this device's own here, or its gradient would be summed over the devices for
        # every chunk.
        head = jax.lax.pcast(head, BATCH_AXES, to="varying")
        return jax.lax.psum(sums(hidden, head, *of_positions), BATCH_AXES)

    mapped = jax.shard_map(
        on_own_rows,
        in_specs=(rows, PartitionSpec(), rows, rows, rows),
        out_specs=PartitionSpec(),
        axis_names=set(BATCH_AXES),  # The vocabulary may be split over the others.
    )
    return _answer_loss(mapped(hidden, head, targets, weights, groups))


def _answer_loss(sums: jax.Array) -> AnswerLoss:
    losses, correct = sums
    return AnswerLoss(jnp.sum(losses), jnp.sum(correct), losses)


def _sums(
    hidden: jax.Array,
    head: jax.Array,
    targets: jax.Array,
    weights: jax.Array,
    groups: jax.Array,
    max_supervised: int,
    chunk_size: int,
    num_groups: int,
) -> jax.Array:
    """Weighted sums of cross entropy and correctness a group, float32 [2, G]."""
    # A stable sort puts the positions with a weight first and keeps their order.
    positions = jnp.argsort(weights == 0, axis=-1, stable=True)[:, :max_supervised]
    gathered = (
        jnp.take_along_axis(hidden, positions[..., None], axis=1),
        jnp.take_along_axis(targets, positions, axis=1),
        jnp.take_along_axis(weights, positions, axis=1),
        jnp.take_along_axis(groups, positions, axis=1),
    )

    @partial(jax.checkpoint, prevent_cse=False)
    def chunk_sums(chunk: tuple[jax.Array, ...]) -> jax.Array:
        hidden, targets, weights, groups = chunk
        logits = _logits(hidden, head)
        is_target = jnp.arange(head.shape[1]) == targets[:, None]
        chosen = jnp.sum(jnp.where(is_target, logits, 0), axis=-1)
        losses = jax.nn.logsumexp(logits, axis=-1) - chosen
        correct = chosen >= jnp.max(logits, axis=-1)
        values = jnp.stack([losses * weights, correct * weights])
        # Not by a matrix product, which some devices round.
        in_group = groups == jnp.arange(num_groups)[:, None]
        return jnp.sum(jnp.where(in_group, values[:, None], 0), axis=-1)

    return jnp.sum(jax.lax.map(chunk_sums, jax.tree.map(partial(_chunks, chunk_size), gathered)), 0)


def _chunks(chunk_size: int, x: jax.Array) -> jax.Array:
    """[B, M, ...] -> [chunks, chunk, ...], padded with zeros; the chunks are of equal size."""
    x = x.reshape(-1, *x.shape[2:])
    count = -(-len(x) // chunk_size)
    size = -(-len(x) // count)
    x = jnp.pad(x, [(0, count * size - len(x))] + [(0, 0)] * (x.ndim - 1))
    return x.reshape(count, size, *x.shape[1:])


@jax.custom_vjp
def _logits(hidden: jax.Array, head: jax.Array) -> jax.Array:
    """float32 [N, V] from [N, D] and [D, V].

    The gradient is rounded to the type of `hidden` first, as that of every other layer is; else the
    two products of the backward pass would run in float32, many times slower than in bfloat16.
    """
    return jnp.matmul(hidden, head, preferred_element_type=jnp.float32)


def _logits_forward(hidden: jax.Array, head: jax.Array) -> tuple[jax.Array, tuple]:
    return _logits(hidden, head), (hidden, head)


def _logits_backward(saved: tuple, gradient: jax.Array) -> tuple[jax.Array, jax.Array]:
    hidden, head = saved
    gradient = gradient.astype(hidden.dtype)
    return gradient @ head.T, hidden.T @ gradient


_logits.defvjp(_logits_forward, _logits_backward)
