"""Compiles a run's training step for a machine that is not at hand, and says what came of it."""

import math
import re
import time
from dataclasses import dataclass
from typing import Any

import jax

from vlm3_jax.aot.collectives import KINDS, traffic
from vlm3_jax.aot.step_flops import step_flops
from vlm3_jax.aot.topologies import Topology
from vlm3_jax.data.batch import abstract_batch
from vlm3_jax.models.attention.kernels import check_compiled
from vlm3_jax.models.qwen3_vl.config import Qwen3VLConfig
from vlm3_jax.parallel.mesh import check_batch_size, make_mesh
from vlm3_jax.training.config import TrainConfig
from vlm3_jax.training.program import train_program
from vlm3_jax.training.step import trace_step


@dataclass(frozen=True)
class Report:
    """One training step on some topology. Bytes and collectives are of one device."""

    topology: str
    slices: int
    mesh: dict[str, int]
    batch_size: int
    """Rows."""
    attention: str
    fits: bool
    peak_bytes: int | None
    """Most memory in use at one time; None where the compiler refused without saying."""
    hbm_bytes: int
    param_bytes: int
    optimizer_bytes: int
    needed_flops: float
    """Of all devices; see `StepFlops`."""
    executed_flops: float
    """Of all devices; see `StepFlops`."""
    collective_bytes: dict[str, float] | None
    """What a device sends, by kind; None where nothing was compiled."""
    unknown_loops: tuple[str, ...]
    """Loops with collectives whose length is not known; they count once."""
    compile_seconds: float


def compile_report(config: TrainConfig, model: Qwen3VLConfig, topology: Topology) -> Report:
    """Compiles the step that `train` would run with this configuration on such devices.

    Raises:
        BadInput: configuration and topology do not go together, or the compiler is missing.
    """
    devices = topology.devices()
    sizes = config.mesh
    mesh = make_mesh(sizes.replica, sizes.fsdp, sizes.tensor, devices)
    check_batch_size(mesh, config.batch_size, config.gradient_accumulation)
    program = train_program(config, model, mesh)
    data = config.data
    batch = abstract_batch(config.batch_size, data.max_tokens, data.max_patches, model.vision)
    traced = trace_step(program.step, program.state, batch, mesh)
    flops = step_flops(config, model, mesh, traced.jaxpr)
    started = time.perf_counter()
    compiled, peak = _compile(traced)
    seconds = time.perf_counter() - started
    sent = None
    if compiled is not None:
        text = compiled.as_text()
        check_compiled(program.execution.attention, text)
        sent = traffic(text)
    hbm = topology.family.hbm_bytes
    return Report(
        topology=topology.name,
        slices=topology.slices,
        mesh=dict(mesh.shape),
        batch_size=config.batch_size,
        attention=program.execution.attention,
        # The GPU's compiler does not mind programs that are too large.
        fits=compiled is not None and peak <= hbm,
        peak_bytes=peak,
        hbm_bytes=hbm,
        param_bytes=_local_bytes(program.state.params),
        optimizer_bytes=_local_bytes(program.state.opt_state),
        needed_flops=flops.needed,
        executed_flops=flops.executed,
        collective_bytes=sent and sent.bytes,
        unknown_loops=sent.unknown_loops if sent else (),
        compile_seconds=seconds,
    )


def readable(report: Report) -> str:
    """Some lines for people."""
    name = report.topology + (f" x {report.slices} slices" if report.slices > 1 else "")
    axes = " x ".join(f"{axis} {size}" for axis, size in report.mesh.items())
    peak = "too much" if report.peak_bytes is None else f"{report.peak_bytes / 1e9:.2f} GB"
    lines = [
        f"{name} ({axes}), {report.batch_size} rows a step, attention {report.attention}:"
        f" {'fits' if report.fits else 'DOES NOT FIT'}",
        f"  memory a device       {peak} of {report.hbm_bytes / 1e9:.2f} GB; parameters"
        f" {report.param_bytes / 1e9:.2f} GB, optimizer {report.optimizer_bytes / 1e9:.2f} GB",
        f"  work of a step        {report.needed_flops:.3e} FLOPs needed;"
        f" {report.executed_flops:.3e} executed"
        f" ({report.executed_flops / report.needed_flops:.2f} times)",
        f"  compiled in           {report.compile_seconds:.0f} s",
    ]
    if report.collective_bytes is not None:
        parts = ", ".join(
            f"{kind} {report.collective_bytes[kind] / 1e9:.3f} GB"
            for kind in KINDS
            if report.collective_bytes[kind]
        )
        total = sum(report.collective_bytes.values())
        lines.insert(
            3, f"  sent by a device      {total / 1e9:.3f} GB a step ({parts or 'nothing'})"
        )
    if report.unknown_loops:
        lines.append(f"  loops counted once    {', '.join(report.unknown_loops)}")
    return "\n".join(lines)


def _compile(traced: jax.stages.Traced) -> tuple[jax.stages.Compiled | None, int | None]:
    """The program and its peak memory; no program where the compiler finds that it cannot fit."""
    try:
        compiled = traced.lower().compile()
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        return None, _bytes_in(str(error))
    return compiled, compiled.memory_analysis().peak_memory_in_bytes


def _bytes_in(message: str) -> int | None:
    """What the TPU's compiler says that a program would need."""
    found = re.search(r"(?:Used|temporaries \() ?([\d.]+)([KMGT])", message)
    if found is None:
        return None
    return int(float(found[1]) * 1024 ** " KMGT".index(found[2]))


def _local_bytes(tree: Any) -> int:
    """Of one device."""
    return sum(
        math.prod(leaf.sharding.shard_shape(leaf.shape)) * leaf.dtype.itemsize
        for leaf in jax.tree.leaves(tree)
    )
