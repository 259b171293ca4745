"""Known collectives on eight simulated devices, some in a loop; prints what is counted."""

import json

import jax
import jax.numpy as jnp
from jax.sharding import AxisType
from jax.sharding import PartitionSpec as P

from vlm3_jax.aot.collectives import traffic

MESH = jax.make_mesh((2, 4), ("pair", "four"), axis_types=(AxisType.Auto,) * 2)


def count(body, x: jax.ShapeDtypeStruct, loops: int) -> dict[str, float]:
    """Bytes of `body` on x, which every device has, run `loops` times."""

    def run(x):
        return jax.lax.scan(lambda carry, _: (body(carry), None), x, None, length=loops)[0]

    mapped = jax.shard_map(run, mesh=MESH, in_specs=P(), out_specs=P(), check_vma=False)
    found = traffic(jax.jit(mapped).lower(x).compile().as_text())
    assert not found.unknown_loops
    return {kind: size for kind, size in found.bytes.items() if size}


def gather(x):
    return jnp.sin(jax.lax.all_gather(x, "four").sum(0))


def scatter(x):
    part = jax.lax.psum_scatter(x, "four", tiled=True)
    return jnp.tile(part, 4)


def reduce(x):
    return jnp.sin(jax.lax.psum(x, ("pair", "four")))


def permute(x):
    return jnp.sin(jax.lax.ppermute(x, "pair", [(0, 1), (1, 0)]))


def exchange(x):
    return jnp.sin(jax.lax.all_to_all(x.reshape(4, -1), "four", 0, 0)).reshape(x.shape)


def branch(x):
    """The dearer branch counts."""
    return jax.lax.cond(x[0] > 0, lambda x: reduce(reduce(x)), reduce, x)


if __name__ == "__main__":
    x = jax.ShapeDtypeStruct((1024,), jnp.float32)
    bodies = (gather, scatter, reduce, permute, exchange, branch)
    print(json.dumps({body.__name__: count(body, x, loops=5) for body in bodies}))
