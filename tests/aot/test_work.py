from collections import Counter

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import AbstractMesh, AxisType
from jax.sharding import PartitionSpec as P

from vlm3_jax.aot.work import KernelCall, Work, count_work
from vlm3_jax.models.attention.flash import flash_attention
from vlm3_jax.models.attention.splash import splash_attention

W = jax.ShapeDtypeStruct((8, 8), jnp.float32)
X = jax.ShapeDtypeStruct((4, 8), jnp.float32)
PRODUCT = 2 * 4 * 8 * 8  # Of X @ W.


def flops(function, *shapes) -> float:
    work = count_work(jax.jit(function).trace(*shapes).jaxpr)
    assert not work.kernel_calls
    return work.flops


def layers(x, w, remat: bool):
    def layer(x, _):
        return jnp.tanh(jnp.tanh(x @ w) @ w), None

    layer = jax.checkpoint(layer, prevent_cse=False) if remat else layer
    return jnp.sum(jax.lax.scan(layer, x, None, length=5)[0])


def test_products_and_convolutions():
    assert flops(jnp.matmul, X, W) == PRODUCT
    q = jax.ShapeDtypeStruct((3, 10, 2, 16), jnp.float32)
    scores = flops(lambda q, k: jnp.einsum("blhd,bshd->bhls", q, k), q, q)
    assert scores == 2 * 3 * 2 * 10 * 10 * 16
    image = jax.ShapeDtypeStruct((2, 3, 12, 12), jnp.float32)
    kernel = jax.ShapeDtypeStruct((7, 3, 4, 4), jnp.float32)
    convolve = lambda x, k: jax.lax.conv(x, k, (4, 4), "VALID")  # noqa: E731
    assert flops(convolve, image, kernel) == 2 * (2 * 3 * 3 * 7) * (3 * 4 * 4)


def test_loops_and_what_is_computed_again():
    forward = 5 * 2 * PRODUCT
    assert flops(lambda x, w: layers(x, w, False), X, W) == forward
    gradient = jax.grad(layers, argnums=(0, 1))
    assert flops(lambda x, w: gradient(x, w, False), X, W) == 3 * forward
    # The second product is needed again for the derivative of tanh alone, so both are repeated.
    assert flops(lambda x, w: gradient(x, w, True), X, W) == 4 * forward


def test_branches_and_loops_of_unknown_length():
    choose = lambda x, w: jax.lax.cond(x[0, 0] > 0, lambda: x @ w @ w, lambda: x @ w)  # noqa: E731
    assert flops(choose, X, W) == 2 * PRODUCT
    search = lambda x: jax.lax.while_loop(lambda x: x[0, 0] < 9, jnp.exp, x)  # noqa: E731
    assert flops(search, X) == 0
    with pytest.raises(ValueError, match="length is not known"):
        flops(lambda x, w: jax.lax.while_loop(lambda x: x[0, 0] < 9, lambda x: x @ w, x), X, W)


@pytest.mark.parametrize(("axes", "copies"), [({"rows"}, 1), ({"rows", "tensor"}, 2)])
def test_shard_map_counts_on_every_device(axes, copies):
    mesh = AbstractMesh((4, 2), ("rows", "tensor"), axis_types=(AxisType.Auto,) * 2)
    mapped = jax.shard_map(
        jnp.matmul,
        mesh=mesh,
        in_specs=(P("rows"), P()),
        out_specs=P("rows"),
        axis_names=axes,
        check_vma=False,
    )
    # The tensor axis either splits the product, or repeats it.
    assert flops(mapped, X, W) == copies * PRODUCT


@pytest.mark.parametrize("kernel", [splash_attention, flash_attention])
def test_calls_of_attention_kernels(kernel):
    ids = jnp.ones((2, 512), jnp.int32)

    def layer(query, key):
        out = kernel(query, key, key, ids, causal=True)
        return jnp.sum(out.astype(jnp.float32))

    shapes = [jax.ShapeDtypeStruct((2, 512, heads, 64), jnp.bfloat16) for heads in (4, 2)]
    traced = jax.jit(jax.grad(layer, argnums=(0, 1))).trace(*shapes)
    work = count_work(traced.jaxpr)
    calls = [KernelCall(products, 2 * 512 * 4, 64) for products in (2, 3, 4)]
    assert work.kernel_calls == Counter(calls)
    assert work.times(3) == Work(3 * work.flops, Counter(calls * 3))
