"""Layers of one shape, stored stacked and run by one scan, which compiles one layer only."""

from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp
from flax import nnx

Carry = TypeVar("Carry")
Output = TypeVar("Output")


def stacked(make: Callable[[nnx.Rngs], nnx.Module], count: int, rngs: nnx.Rngs) -> nnx.Module:
    """A module whose parameters are those of `count` modules, stacked on the first axis."""
    return nnx.vmap(make, in_axes=0, out_axes=0)(rngs.fork(split=count))


def scan_layers(
    layers: nnx.Module,
    step: Callable[[nnx.Module, Carry, jax.Array], tuple[Carry, Output]],
    carry: Carry,
    remat: bool,
) -> tuple[Carry, Output]:
    """Runs `step(layer, carry, index)` over the stacked layers.

    Args:
        layers: a module made by `stacked`.
        step: one layer's work; returns the new carry and what to collect.
        carry: the first carry.
        remat: whether the backward pass recomputes a layer's inside from its input.

    Returns:
        The last carry and the collected outputs, stacked.
    """
    graph, params = nnx.split(layers)
    count = jax.tree.leaves(params)[0].shape[0]

    def body(carry: Carry, xs: tuple[nnx.State, jax.Array]) -> tuple[Carry, Output]:
        layer_params, index = xs
        return step(nnx.merge(graph, layer_params), carry, index)

    if remat:
        body = jax.checkpoint(body, prevent_cse=False)
    return jax.lax.scan(body, carry, (params, jnp.arange(count)))
