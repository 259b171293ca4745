"""Products with parameters, as the platform computes them fastest."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
from flax import nnx

from vlm3_jax.models.execution import Execution

MakeLinear = Callable[..., nnx.Linear]
"""`nnx.Linear`'s arguments -> the layer."""


def make_linear(execution: Execution) -> MakeLinear:
    """The linear layer of a model that is computed this way."""
    if execution.flat_products:
        return partial(nnx.Linear, dot_general=_flat_dot_general)
    return nnx.Linear


@jax.custom_vjp
def flat_product(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """[N, D] with [D, F] to [N, F], with the gradient of the kernel as x^T g.

    JAX's own is (g^T x)^T, and over rows of tokens it sums two axes. XLA for CPUs copies the
    transposed g for that, element by element and together with the activation function before it,
    and transposes the result: a third of a training step.
    """
    return x @ kernel


def _forward(x: jax.Array, kernel: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return flat_product(x, kernel), (x, kernel)


def _backward(
    saved: tuple[jax.Array, jax.Array], gradient: jax.Array
) -> tuple[jax.Array, jax.Array]:
    x, kernel = saved
    of_kernel = jax.lax.dot_general(x, gradient, (((0,), (0,)), ((), ())))
    return gradient @ kernel.T, of_kernel


flat_product.defvjp(_forward, _backward)


def _flat_dot_general(x: jax.Array, kernel: jax.Array, *_: Any, **__: Any) -> jax.Array:
    """[..., D] with [D, F]: the only product that `nnx.Linear` asks for."""
    flat = flat_product(x.reshape(-1, x.shape[-1]), kernel)
    return flat.reshape(*x.shape[:-1], -1)
