"""FLOPs of a training step on full rows: those that it needs, and those that it executes."""

import math
from collections import Counter
from dataclasses import dataclass

import numpy as np
from jax.extend import core
from jax.sharding import Mesh

from vlm3_jax.aot.work import KernelCall, count_work
from vlm3_jax.data.pipeline import DataConfig
from vlm3_jax.models.inputs import Batch, ImageInputs, TextInputs
from vlm3_jax.models.qwen3_vl.config import Qwen3VLConfig
from vlm3_jax.parallel.mesh import BATCH_AXES
from vlm3_jax.training.config import TrainConfig
from vlm3_jax.training.flops import training_flops


@dataclass(frozen=True)
class StepFlops:
    """Of one step, on all devices together."""

    needed: float
    """By `training_flops`."""
    executed: float
    """Of all matrix products of the program, those that rematerialisation repeats too. Attention
    kernels are taken to visit exactly what is visible; the reference works on everything."""


def step_flops(
    config: TrainConfig, model: Qwen3VLConfig, mesh: Mesh, jaxpr: core.ClosedJaxpr
) -> StepFlops:
    """FLOPs of the step of a run whose rows are full, of samples as long as they may be.

    Args:
        config: of the run.
        model: its shapes.
        mesh: where it runs.
        jaxpr: the traced step.
    """
    row = full_row(config.data)
    work = count_work(jaxpr)
    text, vision = _towers(config, model, mesh, row)
    calls: dict[_Tower, Counter[KernelCall]] = {text: Counter(), vision: Counter()}
    for call, times in work.kernel_calls.items():
        calls[min((text, vision), key=lambda tower: tower.distance(call))][call] = times
    kernels = sum(tower.kernel_flops(of_tower) for tower, of_tower in calls.items())
    needed = config.batch_size * float(training_flops(model, row))
    return StepFlops(needed, work.flops + kernels)


def full_row(data: DataConfig) -> Batch:
    """What `training_flops` looks at, of one row without padding and of as few samples as fill it.

    Other arrays are None.
    """
    weights = np.arange(data.max_tokens) < data.max_supervised
    return Batch(
        TextInputs(None, None, _segments(data.max_tokens, data.max_sample_tokens), None, None),
        ImageInputs(None, _segments(data.max_patches, data.max_image_patches), None, None, None),
        None,
        weights.astype(np.float32)[None],
        None,
    )


def _segments(length: int, longest: int | None) -> np.ndarray:
    return (np.arange(length, dtype=np.int32) // (longest or length) + 1)[None]


@dataclass(frozen=True)
class _Tower:
    """Attention in one half of the model."""

    layers: int
    """Times that all layers run in a step, on all devices."""
    queries: int
    """Of a layer on one device, over rows and heads."""
    head_dim: int
    keys: float
    """That a query sees, on average."""

    def distance(self, call: KernelCall) -> tuple[bool, float]:
        """How unlike this tower's a call is; kernels may pad the queries."""
        return call.head_dim != self.head_dim, abs(math.log(call.queries / self.queries))

    def kernel_flops(self, calls: Counter[KernelCall]) -> float:
        # Where one call cannot express who sees whom, a layer makes several, which share the pairs.
        backward = sum(times for call, times in calls.items() if call.products == 3)
        passes = max(1, backward // self.layers)
        return sum(
            2.0 * times * call.products * self.queries * self.head_dim * self.keys / passes
            for call, times in calls.items()
        )


def _towers(
    config: TrainConfig, model: Qwen3VLConfig, mesh: Mesh, row: Batch
) -> tuple[_Tower, _Tower]:
    """Of the language model and of the vision tower."""
    parts = config.gradient_accumulation
    rows = config.batch_size // parts // math.prod(mesh.shape[axis] for axis in BATCH_AXES)

    def tower(layers, ids, heads, key_heads, head_dim, share) -> _Tower:
        split = mesh.shape["tensor"] if key_heads % mesh.shape["tensor"] == 0 else 1
        sizes = np.bincount(ids[0])
        return _Tower(
            layers=layers * parts * mesh.size,
            queries=rows * ids.size * heads // split,
            head_dim=head_dim,
            keys=share * float(np.sum(sizes**2)) / ids.size,
        )

    c, v = model.text, model.vision
    return (
        tower(
            c.num_hidden_layers,
            row.text.segment_ids,
            c.num_attention_heads,
            c.num_key_value_heads,
            c.head_dim,
            share=0.5,
        ),
        tower(
            v.depth,
            row.images.segment_ids,
            v.num_heads,
            v.num_heads,
            v.hidden_size // v.num_heads,
            share=1.0,
        ),
    )
