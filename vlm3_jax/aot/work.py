"""What a program computes, counted from its jaxpr.

XLA's own count takes the body of a loop once, and knows nothing of custom kernels.
"""

import math
from typing import NamedTuple

from jax.extend import core


class Work(NamedTuple):
    """What all devices do together in one run of a program."""

    flops: float
    """Of matrix products and convolutions outside of kernels, 2 a multiply-add."""
    kernel_calls: int
    """Runs of custom kernels (`pallas_call`), whose work depends on the data."""

    def __add__(self, other: "Work") -> "Work":
        return Work(self.flops + other.flops, self.kernel_calls + other.kernel_calls)

    def times(self, count: int) -> "Work":
        """The same, done so many times."""
        return Work(count * self.flops, count * self.kernel_calls)


NO_WORK = Work(0.0, 0)


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
        return Work(_dot_general(eqn), 0)
    if name == "conv_general_dilated":
        return Work(_convolution(eqn), 0)
    if name == "pallas_call":
        return Work(0.0, 1)
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
