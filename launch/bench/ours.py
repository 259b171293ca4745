"""The training step of vlm3_jax, timed."""

import dataclasses
import os
import time

import jax

from launch.bench.plan import Outcome, Plan
from vlm3_jax.models.attention.kernels import check_compiled
from vlm3_jax.models.qwen3_vl.config import Qwen3VLConfig
from vlm3_jax.parallel.mesh import check_batch_size, make_mesh
from vlm3_jax.parallel.sharding import place_rows
from vlm3_jax.training.flops import peak_flops
from vlm3_jax.training.program import first_state, train_program
from vlm3_jax.training.step import compile_step


def measure(plan: Plan) -> Outcome:
    """Compiles the step that `train` runs, warms it up and times it.

    Raises:
        BadInput: the configuration does not fit this machine.
    """
    model = Qwen3VLConfig.from_folder(plan.weights)
    from_weights = dataclasses.replace(
        plan.config.model, checkpoint=str(plan.weights), init="checkpoint"
    )
    config = dataclasses.replace(plan.config, model=from_weights)
    mesh = make_mesh(config.mesh.replica, config.mesh.fsdp, config.mesh.tensor)
    check_batch_size(mesh, config.batch_size, config.gradient_accumulation)
    program = train_program(config, model, mesh)

    started = time.perf_counter()
    step = compile_step(program.step, program.state, plan.batches[0], mesh)
    start_seconds = time.perf_counter() - started
    check_compiled(program.execution.attention, step.as_text())

    state = first_state(config, model, program)
    history = []
    for batch in plan.warm_up:
        state, metrics = step(state, place_rows(batch, mesh, config.batch_size))
        history.append(metrics)
    jax.block_until_ready((state, history))

    started = time.perf_counter()
    for batch in plan.batches:
        # Sent while the step before runs, as in training.
        state, metrics = step(state, place_rows(batch, mesh, config.batch_size))
        history.append(metrics)
    jax.block_until_ready((state, history))
    seconds = time.perf_counter() - started

    device = jax.devices()[0]
    peak = peak_flops(device)
    return Outcome(
        seconds=seconds,
        start_seconds=start_seconds,
        first_loss=float(history[0]["loss"]),
        first_grad_norm=float(history[0]["grad_norm"]),
        last_loss=float(history[-1]["loss"]),
        peak_bytes=(device.memory_stats() or {}).get("peak_bytes_in_use"),
        about={
            "jax": jax.__version__,
            "platform": device.platform,
            "device": device.device_kind,
            "devices": jax.device_count(),
            "cores": len(os.sched_getaffinity(0)),
            "peak_flops": None if peak is None else peak * jax.device_count(),
            "attention": program.execution.attention,
            "remat": f"text {config.model.remat.text}, vision {config.model.remat.vision}",
        },
    )
