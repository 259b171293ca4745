"""Next-token cross entropy on the answers."""

from typing import NamedTuple

import jax
import jax.numpy as jnp


class AnswerLoss(NamedTuple):
    """Loss and its companions over all supervised tokens of a batch, float32 scalars."""

    loss: jax.Array
    """Mean cross entropy in nats."""
    accuracy: jax.Array
    """Share of supervised tokens whose logit is the largest."""
    num_supervised: jax.Array
    """Sum of the loss weights."""


def answer_loss(logits: jax.Array, targets: jax.Array, loss_weights: jax.Array) -> AnswerLoss:
    """Weighted mean over the global batch, not per row, so every answer token counts the same.

    Args:
        logits: float32 [B, L, V]; position i predicts `targets` i.
        targets: int32 [B, L].
        loss_weights: float32 [B, L], 0 where nothing is to be learned. All zero gives loss 0.
    """
    logits = logits.astype(jnp.float32)
    chosen = jnp.take_along_axis(logits, targets[..., None], axis=-1)[..., 0]
    losses = jax.nn.logsumexp(logits, axis=-1) - chosen
    correct = jnp.argmax(logits, axis=-1) == targets
    total = jnp.sum(loss_weights)
    share = loss_weights / jnp.maximum(total, 1.0)
    return AnswerLoss(jnp.sum(losses * share), jnp.sum(correct * share), total)
