"""Parameters as a plain nested dict, and the module over them.

Outside the model, parameters are a nested dict with string keys: what checkpoints hold, what the
optimizer updates, what sharding rules name (`text/layers/attn/q_proj/kernel`).
"""

from functools import lru_cache, partial
from typing import Any

import jax
from flax import nnx
from flax.traverse_util import flatten_dict, unflatten_dict

from vlm3_jax.models.execution import PLAIN, Execution
from vlm3_jax.models.qwen3_vl.config import Qwen3VLConfig
from vlm3_jax.models.qwen3_vl.model import Qwen3VL

Params = dict[str, Any]

flatten = partial(flatten_dict, sep="/")
"""Nested dict -> {"text/embed/embedding": leaf}."""
unflatten = partial(unflatten_dict, sep="/")
"""The inverse of `flatten`."""


def init_params(config: Qwen3VLConfig, seed: int) -> Params:
    """Random float32 parameters; traceable, so `jax.jit` can place them as they are made."""
    return nnx.to_pure_dict(nnx.state(Qwen3VL(config, rngs=nnx.Rngs(seed)), nnx.Param))


def abstract_params(config: Qwen3VLConfig) -> Params:
    """Shapes and types of the parameters, without making them."""
    return jax.eval_shape(lambda: init_params(config, 0))


def build(config: Qwen3VLConfig, params: Params, execution: Execution = PLAIN) -> Qwen3VL:
    """The model over given parameters, which may be tracers.

    Args:
        config: the model's shapes.
        params: nested dict as `init_params` makes it, of any float type; as `unstack` makes it
            where `execution` says so.
        execution: how it is computed.
    """
    graph, state = _abstract(config, execution)
    state = jax.tree.map(lambda leaf: leaf, state)  # A copy: the cached one stays as it is.
    nnx.replace_by_pure_dict(state, params)
    return nnx.merge(graph, state)


def unstack(params: Params) -> Params:
    """Parameters for `Execution.unroll`: those of every text layer apart. Traceable."""
    layers = params["text"]["layers"]
    count = jax.tree.leaves(layers)[0].shape[0]
    apart = {i: jax.tree.map(lambda leaf, i=i: leaf[i], layers) for i in range(count)}
    return params | {"text": params["text"] | {"layers": apart}}


@lru_cache
def _abstract(config: Qwen3VLConfig, execution: Execution) -> tuple[nnx.GraphDef, nnx.State]:
    make = lambda: Qwen3VL(config, execution=execution, rngs=nnx.Rngs(0))  # noqa: E731
    return nnx.split(nnx.eval_shape(make))
