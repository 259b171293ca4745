"""Ten steps on synthetic batches; as a program, on the meshes given, with its findings as JSON."""

import json
import re
import sys
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax

from tests.training.synthetic import CONFIG, make_batch
from vlm3_jax.models.functional import init_params
from vlm3_jax.parallel.mesh import make_mesh
from vlm3_jax.parallel.sharding import batch_sharding
from vlm3_jax.training import loss
from vlm3_jax.training.optimizer import OptimizerConfig, make_optimizer, make_schedule
from vlm3_jax.training.step import abstract_state, compile_step, new_state, train_step

ROWS = 8
MAX_SUPERVISED = 12
OPTIMIZER = OptimizerConfig(learning_rate=1e-2, clip_norm=1.0, weight_decay=0.1)


def prepare(
    mesh_sizes=(1, 1, 1),
    compute_dtype="float32",
    settings=OPTIMIZER,
    param_dtype="float32",
    **options,
):
    """The compiled step, the first state and a function that makes the batch of a step."""
    mesh = make_mesh(*mesh_sizes)
    schedule = make_schedule(settings, ROWS, 10)
    optimizer = make_optimizer(settings, schedule)
    frozen = settings.frozen
    abstract = abstract_state(CONFIG, optimizer, mesh, param_dtype, frozen)
    placement = jax.tree.map(lambda leaf: leaf.sharding, abstract)
    state = jax.jit(
        lambda: new_state(optax.tree.cast(init_params(CONFIG, 0), param_dtype), optimizer, frozen),
        out_shardings=placement,
    )()

    def batch(step: int):
        return jax.device_put(make_batch(np.random.default_rng(step), ROWS), batch_sharding(mesh))

    step = partial(
        train_step,
        config=CONFIG,
        optimizer=optimizer,
        schedule=schedule,
        compute_dtype=jnp.dtype(compute_dtype),
        max_supervised=MAX_SUPERVISED,
        frozen=frozen,
        **options,
    )
    return compile_step(step, abstract, batch(0), mesh), state, batch


def ten_losses(step, state, batch):
    losses = []
    for i in range(10):
        state, metrics = step(state, batch(i))
        losses.append(float(metrics["loss"]))
    return losses, state


def collectives_in_loops(program: str) -> list[str]:
    """The shapes that devices exchange inside the loops of a compiled program."""
    bodies, found, name = set(re.findall(r"body=%?([\w.-]+)", program)), [], None
    for line in program.splitlines():
        if start := re.match(r"%?([\w.-]+) \(.*\{$", line):
            name = start[1]
        exchange = re.search(r"= (.*?) (?:all-\w+|reduce-scatter|collective-permute)\(", line)
        if exchange and name in bodies:
            found += re.findall(r"\[([\d,]+)\]", exchange[1])
    return found


def inspect(*mesh_sizes: int) -> dict:
    loss.CHUNK_SIZE = 4  # So that the head runs in a loop.
    step, state, batch = prepare(mesh_sizes)
    losses, state = ten_losses(step, state, batch)
    shards = {
        jax.tree_util.keystr(path, simple=True, separator="/"): leaf.addressable_shards[
            0
        ].data.shape
        for path, leaf in jax.tree.leaves_with_path(state)
    }
    gathered = re.findall(r"= f32\[([\d,]*)\]\S* all-gather\(", step.as_text())
    in_loops = collectives_in_loops(step.as_text())
    return {"losses": losses, "shards": shards, "gathered": gathered, "in_loops": in_loops}


if __name__ == "__main__":
    print(json.dumps([inspect(*map(int, sizes.split(","))) for sizes in sys.argv[1:]]))
