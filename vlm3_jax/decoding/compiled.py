"""The programs of decoding compiled for given sizes, and the memory that they take."""

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import psutil
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from vlm3_jax.data.batch import abstract_batch
from vlm3_jax.decoding import branching, programs
from vlm3_jax.decoding.branching import LEVELS, Level, empty_trees
from vlm3_jax.decoding.cache import Sizes
from vlm3_jax.decoding.drafting import no_template
from vlm3_jax.decoding.state import Questions, State, empty_state
from vlm3_jax.models.attention.kernels import choose_kernel
from vlm3_jax.models.functional import Params
from vlm3_jax.models.inputs import ImageInputs, TextInputs
from vlm3_jax.models.qwen3_vl.config import Qwen3VLConfig
from vlm3_jax.parallel.mesh import BATCH_AXES
from vlm3_jax.parallel.sharding import batch_sharding, replicated

_MEGABYTE = 2**20
_USABLE = 0.9  # Of the free memory: allocators do not fill it without gaps.


@dataclass(frozen=True)
class Programs:
    """Compiled for one `Sizes`; see the module `programs` for what they do."""

    clear: Any
    """() -> an empty state."""
    admit: Any
    """(params, state, slots, text, images) -> state."""
    ask: Any
    """(params, state, questions, template, stop_tokens) -> state."""
    advance: Any
    """(params, state, template, stop_tokens, until, wide_cost) -> state, steps."""
    read: Any
    """(answers) -> answers, on every device."""
    plant: Any
    """() -> empty trees; None where there are no branches."""
    branch: Any
    """(params, trees, state, level) -> trees, likely; see the module `branching`."""
    work_bytes: int
    """What they need beside parameters and state, a device."""


def abstract_state(sizes: Sizes, model: Qwen3VLConfig, mesh: Mesh, cache_dtype: jnp.dtype) -> State:
    """Shapes, types and shardings of everything in flight.

    Args:
        sizes: of it.
        model: the model's shapes.
        mesh: the devices.
        cache_dtype: type of the kept keys and values.
    """
    state = jax.eval_shape(lambda: empty_state(model, sizes, cache_dtype))
    cache = _placed(state.cache, _kept(model, mesh))
    return _placed(state, batch_sharding(mesh))._replace(cache=cache)


def _kept(model: Qwen3VLConfig, mesh: Mesh) -> NamedSharding:
    """Of keys and values: groups of rows lie over replica and fsdp, key heads over tensor."""
    split_heads = model.text.num_key_value_heads % mesh.shape["tensor"] == 0
    return NamedSharding(mesh, PartitionSpec(BATCH_AXES, "tensor" if split_heads else None))


def bytes_a_device(tree: Any) -> int:
    """What arrays, or their shapes with shardings, take of each device."""
    return sum(
        math.prod(leaf.sharding.shard_shape(leaf.shape)) * leaf.dtype.itemsize
        for leaf in jax.tree.leaves(tree)
    )


def compile_programs(
    params: Params,
    model: Qwen3VLConfig,
    num_stop_tokens: int,
    mesh: Mesh,
    sizes: Sizes,
    state: State,
) -> Programs:
    """Compiles the programs.

    Args:
        params: as `unstack` makes them.
        model: the model's shapes.
        num_stop_tokens: ids that end an answer.
        mesh: the devices.
        sizes: of everything in flight.
        state: what `abstract_state` makes of them.
    """
    placed, everywhere = batch_sharding(mesh), replicated(mesh)
    shardings = jax.tree.map(lambda leaf: leaf.sharding, state)
    shapes = {
        "config": model,
        "kernel": choose_kernel("auto", mesh.devices.flat[0].platform),
    }
    text, images, questions = _placed(_inputs(sizes, model), placed)
    slots = jax.ShapeDtypeStruct((sizes.groups,), jnp.int32, sharding=placed)
    template = jax.eval_shape(lambda: jnp.asarray(no_template().tokens))
    stop_tokens = jax.ShapeDtypeStruct((num_stop_tokens,), jnp.int32)
    until = jax.ShapeDtypeStruct((sizes.groups, sizes.images), jnp.int32)
    wide_cost = jax.ShapeDtypeStruct((), jnp.float32)

    def compiled(
        function: Any, outputs: Any, *arguments: Any, donated: str | None = "state"
    ) -> Any:
        jitted = jax.jit(function, out_shardings=outputs, donate_argnames=donated)
        return jitted.lower(*arguments).compile()

    def zeros(shapes: Any) -> Any:
        make = lambda: jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)  # noqa: E731
        return compiled(make, jax.tree.map(lambda leaf: leaf.sharding, shapes), donated=None)

    with jax.set_mesh(mesh):
        admit = compiled(
            partial(programs.admit, **shapes), shardings, params, state, slots, text, images
        )
        ask = compiled(
            partial(programs.ask, **shapes),
            shardings,
            *(params, state, questions, template, stop_tokens),
        )
        advance = compiled(
            partial(programs.advance, window=sizes.window, **shapes),
            (shardings, everywhere),
            *(params, state, template, stop_tokens, until, wide_cost),
        )
        clear = zeros(state)
        read = compiled(lambda answers: answers, everywhere, state.answers, donated=None)
        steps, plant, branch, tree_bytes = [admit, ask, advance], None, None, 0
        if sizes.branches:
            trees = _placed(
                jax.eval_shape(
                    lambda: empty_trees(model.text, sizes, state.cache[0].own.keys.dtype)
                ),
                _kept(model, mesh),
            )
            plant = zeros(trees)
            branch = compiled(
                partial(branching.branch, **shapes),
                (jax.tree.map(lambda leaf: leaf.sharding, trees), everywhere),
                *(params, trees, state, _level(sizes, placed)),
                donated="trees",
            )
            steps.append(branch)
            tree_bytes = bytes_a_device(trees)
    work = max(step.memory_analysis().temp_size_in_bytes for step in steps)
    return Programs(clear, admit, ask, advance, read, plant, branch, work + tree_bytes)


def free_bytes(mesh: Mesh) -> int:
    """Bytes that a device may still take: of its own memory, or its share of the host's.

    The least of all devices and processes, so that all decide alike.
    """
    devices = [d for d in mesh.devices.flat if d.process_index == jax.process_index()]
    if devices[0].platform == "cpu":
        free = psutil.virtual_memory().available // len(devices)
    else:
        stats = [device.memory_stats() for device in devices]
        free = min(one["bytes_limit"] - one["bytes_in_use"] for one in stats)
    if jax.process_count() > 1:
        # In megabytes: JAX gathers 32 bits.
        free = int(np.min(multihost_utils.process_allgather(np.int32(free // _MEGABYTE))))
        free *= _MEGABYTE
    return int(free * _USABLE)


def _inputs(sizes: Sizes, model: Qwen3VLConfig) -> tuple[TextInputs, ImageInputs | None, Questions]:
    """Shapes of what the host sends."""
    batch = abstract_batch(sizes.groups, sizes.prefix, sizes.patches, model.vision)
    asked = sizes.groups, sizes.asked
    integers = lambda *shape: jax.ShapeDtypeStruct(shape, jnp.int32)  # noqa: E731
    questions = Questions(
        slots=integers(sizes.groups),
        rows=integers(*asked),
        tokens=integers(*asked, sizes.question),
        positions=integers(*asked, sizes.question, 3),
        lengths=integers(*asked),
        limits=integers(*asked),
    )
    return batch.text, batch.images if sizes.patches else None, questions


def _level(sizes: Sizes, placed: NamedSharding) -> Level:
    """Shapes of a level of trees."""
    asked = sizes.groups, sizes.asked
    tokens = *asked, sizes.branches
    shape = lambda *shape, dtype=jnp.int32: jax.ShapeDtypeStruct(shape, dtype, sharding=placed)  # noqa: E731
    return Level(
        number=jax.ShapeDtypeStruct((), jnp.int32),
        slots=shape(sizes.groups),
        rows=shape(*asked),
        starts=shape(*asked),
        tokens=shape(*tokens),
        visible=shape(*tokens, LEVELS * sizes.branches, dtype=bool),
    )


def _placed(tree: Any, sharding: NamedSharding) -> Any:
    """Shapes with a sharding."""
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), tree
    )
