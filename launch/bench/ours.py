"""The training step of vlm3_jax, timed."""

import dataclasses
import os
import time

import jax

from launch.bench.plan import WARM_UP_STEPS, Outcome, Plan
from vlm3_jax.models.qwen3_vl.config import Qwen3VLConfig
from vlm3_jax.parallel.mesh import make_mesh
from vlm3_jax.parallel.sharding import place_rows
from vlm3_jax.training.program import first_state, train_program
from vlm3_jax.training.step import compile_step


def measure(plan: Plan) -> Outcome:
    """Compiles the step that `train` runs, warms it up and times it."""
    model = Qwen3VLConfig.from_folder(plan.weights)
    from_weights = dataclasses.replace(
        plan.config.model, checkpoint=str(plan.weights), init="checkpoint"
    )
    config = dataclasses.replace(plan.config, model=from_weights)
    mesh = make_mesh(config.mesh.replica, config.mesh.fsdp, config.mesh.tensor)
    program = train_program(config, model, mesh)
    state = first_state(config, model, program)

    def placed(number: int):
        return place_rows(plan.batches[number % len(plan.batches)], mesh, config.batch_size)

    started = time.perf_counter()
    step = compile_step(program.step, program.state, placed(0), mesh)
    state, first = step(state, placed(0))
    for number in range(1, WARM_UP_STEPS):
        state, _ = step(state, placed(number))
    jax.block_until_ready(state)
    start_seconds = time.perf_counter() - started

    started = time.perf_counter()
    batch = placed(0)
    for number in range(len(plan.batches)):
        state, metrics = step(state, batch)
        batch = placed(number + 1)  # On its way while the step runs, as in training.
    jax.block_until_ready((state, metrics))
    seconds = time.perf_counter() - started
    return Outcome(
        seconds,
        start_seconds,
        float(first["loss"]),
        float(first["grad_norm"]),
        f"jax {jax.__version__}, {jax.device_count()} x {jax.devices()[0].device_kind},"
        f" {len(os.sched_getaffinity(0))} cores, attention {program.execution.attention}",
    )
