"""AdamW with gradient clipping and a cosine schedule."""

import math
from dataclasses import dataclass
from typing import Any

import jax
import optax

from vlm3_jax.errors import BadInput


@dataclass(frozen=True)
class OptimizerConfig:
    """The optimizer's settings."""

    learning_rate: float
    """Peak learning rate."""
    learning_rate_batch_size: int | None = None
    """The batch size that `learning_rate` was chosen for; another `batch_size` scales it by the
    square root of the ratio. None: take it as it is."""
    warmup_ratio: float = 0.1
    """Share of the steps in which the rate rises linearly from zero; a cosine takes it back."""
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.0
    """Decoupled, on matrices and embeddings only, times the learning rate."""
    clip_norm: float | None = None
    """Largest global norm of the gradient; longer ones are scaled down. None: no clipping."""

    def __post_init__(self):
        if not (self.learning_rate > 0 and math.isfinite(self.learning_rate)):
            raise BadInput(f"learning_rate is {self.learning_rate}, but must be positive.")
        if self.learning_rate_batch_size is not None and self.learning_rate_batch_size < 1:
            raise BadInput("learning_rate_batch_size must be at least 1, or None.")
        if not 0 <= self.warmup_ratio < 1:
            raise BadInput(f"warmup_ratio is {self.warmup_ratio}, but must be in [0, 1).")
        if self.clip_norm is not None and not self.clip_norm > 0:
            raise BadInput(f"clip_norm is {self.clip_norm}, but must be positive, or None.")


def make_schedule(config: OptimizerConfig, batch_size: int, total_steps: int) -> optax.Schedule:
    """The learning rate of every step, counted from 0: linear warm-up, then a cosine to zero."""
    return optax.warmup_cosine_decay_schedule(
        init_value=0.0,
        peak_value=_peak(config, batch_size),
        warmup_steps=round(config.warmup_ratio * total_steps),
        decay_steps=total_steps,
    )


def make_optimizer(
    config: OptimizerConfig, schedule: optax.Schedule
) -> optax.GradientTransformation:
    """AdamW over a nested dict of parameters, behind clipping by global norm."""
    adamw = optax.adamw(
        schedule,
        b1=config.beta1,
        b2=config.beta2,
        eps=config.epsilon,
        weight_decay=config.weight_decay,
        mask=_is_matrix,
    )
    if config.clip_norm is None:
        return adamw
    return optax.chain(optax.clip_by_global_norm(config.clip_norm), adamw)


def _peak(config: OptimizerConfig, batch_size: int) -> float:
    """Square-root rule: gradient noise falls with the root of the batch, so the rate may grow."""
    if config.learning_rate_batch_size is None:
        return config.learning_rate
    return config.learning_rate * math.sqrt(batch_size / config.learning_rate_batch_size)


def _is_matrix(params: Any) -> Any:
    """True for matrices and embeddings; layers are stacked, so dimensions do not tell."""

    def matrix(path: tuple, leaf: Any) -> bool:
        del leaf
        return path[-1].key in ("kernel", "embedding")

    return jax.tree.map_with_path(matrix, params)
