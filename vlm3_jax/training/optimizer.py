"""AdamW with gradient clipping and a cosine schedule."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import jax
import optax

from vlm3_jax.errors import BadInput
from vlm3_jax.models.functional import Params, flatten, unflatten
from vlm3_jax.training.freezing import check_matches, split


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
    frozen: tuple[str, ...] = ()
    """Parameters that stay as they are: regular expressions that match whole paths, such as
    `vision/.*`. They cost neither a gradient nor optimizer state."""
    rate_multipliers: tuple[tuple[str, float], ...] = ()
    """Pairs of such a pattern and a multiplier of the learning rate; the first match counts."""
    first_moment_dtype: Literal["bfloat16", "float32"] = "float32"
    second_moment_dtype: Literal["bfloat16", "float32"] = "float32"

    def __post_init__(self):
        if not (self.learning_rate > 0 and math.isfinite(self.learning_rate)):
            raise BadInput(f"learning_rate is {self.learning_rate}, but must be positive.")
        if self.learning_rate_batch_size is not None and self.learning_rate_batch_size < 1:
            raise BadInput("learning_rate_batch_size must be at least 1, or None.")
        if not 0 <= self.warmup_ratio < 1:
            raise BadInput(f"warmup_ratio is {self.warmup_ratio}, but must be in [0, 1).")
        for pattern in (*self.frozen, *(pattern for pattern, _ in self.rate_multipliers)):
            _check_pattern(pattern)
        for pattern, multiplier in self.rate_multipliers:
            if not (multiplier > 0 and math.isfinite(multiplier)):
                raise BadInput(
                    f"rate_multipliers has {multiplier} for {pattern!r}, but they must be positive;"
                    " to leave parameters as they are, name them in frozen."
                )
        if self.second_moment_dtype == "bfloat16" and 1 - self.beta2 < 2**-7:
            raise BadInput(
                f"second_moment_dtype is bfloat16, in which a moment cannot decay by beta2"
                f" {self.beta2}: lower beta2 to 0.99 or less, or keep float32."
            )
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
    """AdamW over a nested dict of the trained parameters, behind clipping by global norm."""
    adamw = optax.adamw(
        schedule,
        b1=config.beta1,
        b2=config.beta2,
        eps=config.epsilon,
        weight_decay=config.weight_decay,
        mask=_is_matrix,
        mu_dtype=config.first_moment_dtype,
    )

    def init(params: Params) -> optax.OptState:
        # The second moment keeps the type of the parameters that it is made for.
        return adamw.init(optax.tree.cast(params, config.second_moment_dtype))

    steps = [optax.GradientTransformation(init, adamw.update)]
    if config.clip_norm is not None:
        steps.insert(0, optax.clip_by_global_norm(config.clip_norm))
    if config.rate_multipliers:
        # The whole update, weight decay too, is proportional to the learning rate.
        steps.append(optax.stateless(partial(_multiply, multipliers=config.rate_multipliers)))
    return optax.chain(*steps)


def check_patterns(config: OptimizerConfig, params: Params) -> None:
    """Checks the patterns of a configuration against the parameters of a model.

    Raises:
        BadInput: a pattern matches nothing, or every parameter is frozen.
    """
    check_matches(params, config.frozen, "config.optimizer.frozen")
    patterns = [pattern for pattern, _ in config.rate_multipliers]
    check_matches(params, patterns, "config.optimizer.rate_multipliers")
    if not split(params, config.frozen)[0]:
        raise BadInput("config.optimizer.frozen leaves no parameter to train: freeze fewer.")


def _peak(config: OptimizerConfig, batch_size: int) -> float:
    """Square-root rule: gradient noise falls with the root of the batch, so the rate may grow."""
    if config.learning_rate_batch_size is None:
        return config.learning_rate
    return config.learning_rate * math.sqrt(batch_size / config.learning_rate_batch_size)


def _multiply(updates: Params, params: Params, multipliers: Sequence[tuple[str, float]]) -> Params:
    del params

    def multiplied(path: str, leaf: jax.Array) -> jax.Array:
        factors = (factor for pattern, factor in multipliers if re.fullmatch(pattern, path))
        return leaf * next(factors, 1.0)

    return unflatten({path: multiplied(path, leaf) for path, leaf in flatten(updates).items()})


def _check_pattern(pattern: str) -> None:
    try:
        re.compile(pattern)
    except re.error as error:
        raise BadInput(f"{pattern!r} is no regular expression: {error}.") from error


def _is_matrix(params: Any) -> Any:
    """True for matrices and embeddings; layers are stacked, so dimensions do not tell."""

    def matrix(path: tuple, leaf: Any) -> bool:
        del leaf
        return path[-1].key in ("kernel", "embedding")

    return jax.tree.map_with_path(matrix, params)
