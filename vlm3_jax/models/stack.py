"""Layers of one shape: stacked and run by one scan, or one by one.

The scan compiles one layer only; layers of their own spare the copy of their parameters out of the
stack, which matters where a layer does little work.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeVar

import jax
import jax.numpy as jnp
from flax import nnx
from jax.ad_checkpoint import checkpoint_name

from vlm3_jax.models import attention

Carry = TypeVar("Carry")
Output = TypeVar("Output")
RematPolicy = Literal["none", "full", "dots", "offload"]


@dataclass(frozen=True)
class Remat:
    """What the backward pass computes again instead of keeping it from the forward pass.

    `none`: nothing. `full`: a layer's inside, from its input. `dots`: the same, but for attention
    and the products with parameters, which are kept. `offload`: as `full`, and the layers' inputs
    wait in the host's memory; for accelerators, where a row would not fit otherwise.
    """

    text: RematPolicy = "none"
    """In the language model's layers."""
    vision: RematPolicy = "none"
    """In the vision tower's blocks."""


NO_REMAT = Remat()

_INPUT = "layer_input"
_keep = jax.checkpoint_policies
_POLICIES = {
    "full": _keep.nothing_saveable,
    # The reference's attention scores have a batch dimension: they are not kept.
    "dots": _keep.save_from_both_policies(
        _keep.dots_with_no_batch_dims_saveable, _keep.save_only_these_names(attention.SAVED)
    ),
    "offload": _keep.save_and_offload_only_these_names(
        names_which_can_be_saved=[],
        names_which_can_be_offloaded=[_INPUT],
        offload_src="device",
        offload_dst="pinned_host",
    ),
}


def stacked(make: Callable[[nnx.Rngs], nnx.Module], count: int, rngs: nnx.Rngs) -> nnx.Module:
    """A module whose parameters are those of `count` modules, stacked on the first axis."""
    return nnx.vmap(make, in_axes=0, out_axes=0)(rngs.fork(split=count))


def unrolled(make: Callable[[nnx.Rngs], nnx.Module], count: int, rngs: nnx.Rngs) -> nnx.List:
    """`count` modules."""
    return nnx.List([make(rngs) for _ in range(count)])


def run_layers(
    layers: nnx.Module,
    step: Callable[[nnx.Module, Carry, jax.Array | int], tuple[Carry, Output]],
    carry: Carry,
    remat: RematPolicy,
) -> tuple[Carry, Output]:
    """Runs `step(layer, carry, index)` over the layers.

    Args:
        layers: what `stacked` or `unrolled` made.
        step: one layer's work; returns the new carry and what to collect.
        carry: the first carry.
        remat: see `Remat`; layers that are not stacked keep everything.

    Returns:
        The last carry and the collected outputs, stacked.
    """
    if isinstance(layers, nnx.List):
        collected = []
        for index, layer in enumerate(layers):
            carry, output = step(layer, carry, index)
            collected.append(output)
        return carry, jax.tree.map(lambda *outputs: jnp.stack(outputs), *collected)
    graph, params = nnx.split(layers)
    count = jax.tree.leaves(params)[0].shape[0]

    def body(carry: Carry, xs: tuple[nnx.State, jax.Array]) -> tuple[Carry, Output]:
        layer_params, index = xs
        if remat == "offload":
            carry = jax.tree.map(lambda leaf: checkpoint_name(leaf, _INPUT), carry)
        return step(nnx.merge(graph, layer_params), carry, index)

    if remat != "none":
        body = jax.checkpoint(body, prevent_cse=False, policy=_POLICIES[remat])
    return jax.lax.scan(body, carry, (params, jnp.arange(count)))
