"""What a program computes, counted from its jaxpr.

XLA's own count takes the body of a loop once, and knows nothing of custom kernels.
"""

import math
from collections import Counter
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax.extend import core


class KernelCall(NamedTuple):
    """A run of an attention kernel (`pallas_call`)."""

    products: int
    """Matrix products for each block of queries and keys: 2 forward, and backward 3 for the
    gradient of queries and 4 for those of keys and values."""
    queries: int
    """Over all rows and heads."""
    head_dim: int


class Work(NamedTuple):
    """What all devices do together in one run of a program."""

    flops: float
    """Of matrix products and convolutions outside of kernels, 2 a multiply-add."""
    kernel_calls: Counter[KernelCall]

    def __add__(self, other: "Work") -> "Work":
        return Work(self.flops + other.flops, self.kernel_calls + other.kernel_calls)

    def times(self, count: int) -> "Work":
        """The same, done so many times."""
        calls = Counter({call: count * number for call, number in self.kernel_calls.items()})
        return Work(count * self.flops, calls)


NO_WORK = Work(0.0, Counter())


def count_work(jaxpr: core.ClosedJaxpr | core.Jaxpr) -> Work:
    """Work of a program, `jax.jit(f).trace(...).jaxpr`.

    Loops count as often as they run, what is computed again in the backward pass counts again, and
    the body of a `shard_map` counts on every device. Of branches the dearest counts.

    Raises:
        ValueError: a loop whose length is not known before it runs multiplies matrices.
    """
    return sum((_work_of(eqn) for eqn in jaxpr.eqns), NO_WORK)


def _work_of(eqn: core.JaxprEqn) -> Work:
    name = eqn.primitive.name
    if name == "dot_general":
        return Work(_dot_general(eqn), Counter())
    if name == "conv_general_dilated":
        return Work(_convolution(eqn), Counter())
    if name == "pallas_call":
        return Work(0.0, Counter([_kernel_call(eqn)]))
    bodies = [count_work(body) for body in core.jaxprs_in_params(eqn.params)]
    if name == "scan":
        return bodies[0].times(eqn.params["length"])
    if name == "shard_map":
        sizes = eqn.params["mesh"].shape
        return bodies[0].times(math.prod(sizes[axis] for axis in eqn.params["newly_manual_axes"]))
    if name == "cond":
        return max(bodies, key=lambda body: body.flops)
    if name == "while" and any(body != NO_WORK for body in bodies):
        raise ValueError("a loop whose length is not known before it runs multiplies matrices")
    return sum(bodies, NO_WORK)


def _dot_general(eqn: core.JaxprEqn) -> float:
    left, right = (var.aval.shape for var in eqn.invars)
    (_, contracted), (_, batch) = eqn.params["dimension_numbers"]
    own = [size for axis, size in enumerate(right) if axis not in (*contracted, *batch)]
    return 2.0 * math.prod(left) * math.prod(own)


def _convolution(eqn: core.JaxprEqn) -> float:
    kernel = eqn.invars[1].aval.shape
    features = kernel[eqn.params["dimension_numbers"].rhs_spec[0]]
    return 2.0 * math.prod(eqn.outvars[0].aval.shape) * math.prod(kernel) / features


def _kernel_call(eqn: core.JaxprEqn) -> KernelCall:
    # The largest operand is as large as the queries; its last dimension is the head's.
    arrays = (var.aval for var in eqn.invars if jnp.issubdtype(var.aval.dtype, jnp.floating))
    shape = max((array.shape for array in arrays), key=math.prod)
    return KernelCall(_products(eqn.params["jaxpr"]), math.prod(shape[:-1]), shape[-1])


def _products(jaxpr: Any) -> int:
    """Matrix products in the text of a program: loops over blocks hold them once."""
    total = 0
    for eqn in jaxpr.eqns:
        inner = [_products(body) for body in core.jaxprs_in_params(eqn.params)]
        if eqn.primitive.name == "dot_general":
            total += 1
        elif inner:
            total += max(inner) if eqn.primitive.name == "cond" else sum(inner)
    return total
