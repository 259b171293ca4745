"""Layers of one shape, stored stacked and run by one scan, which compiles one layer only."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeVar

import jax
import jax.numpy as jnp
from flax import nnx

Carry = TypeVar("Carry")
Output = TypeVar("Output")
RematPolicy = Literal["none", "full", "dots"]


@dataclass(frozen=True)
class Remat:
    """What the backward pass computes again instead of keeping it from the forward pass.

    `none`: nothing. `full`: a layer's inside, from its input. `dots`: the same, but for the
    products with parameters, which are kept.
    """

    text: RematPolicy = "none"
    """In the language model's layers."""
    vision: RematPolicy = "none"
    """In the vision tower's blocks."""


NO_REMAT = Remat()


def stacked(make: Callable[[nnx.Rngs], nnx.Module], count: int, rngs: nnx.Rngs) -> nnx.Module:
    """A module whose parameters are those of `count` modules, stacked on the first axis."""
    return nnx.vmap(make, in_axes=0, out_axes=0)(rngs.fork(split=count))


def scan_layers(
    layers: nnx.Module,
    step: Callable[[nnx.Module, Carry, jax.Array], tuple[Carry, Output]],
    carry: Carry,
    remat: RematPolicy,
) -> tuple[Carry, Output]:
    """Runs `step(layer, carry, index)` over the stacked layers.

    Args:
        layers: a module made by `stacked`.
        step: one layer's work; returns the new carry and what to collect.
        carry: the first carry.
        remat: see `Remat`.

    Returns:
        The last carry and the collected outputs, stacked.
    """
    graph, params = nnx.split(layers)
    count = jax.tree.leaves(params)[0].shape[0]

    def body(carry: Carry, xs: tuple[nnx.State, jax.Array]) -> tuple[Carry, Output]:
        layer_params, index = xs
        return step(nnx.merge(graph, layer_params), carry, index)

    if remat != "none":
        policies = {
            "full": jax.checkpoint_policies.nothing_saveable,
            # Attention scores have a batch dimension: they are not kept.
            "dots": jax.checkpoint_policies.dots_with_no_batch_dims_saveable,
        }
        body = jax.checkpoint(body, prevent_cse=False, policy=policies[remat])
    return jax.lax.scan(body, carry, (params, jnp.arange(count)))
