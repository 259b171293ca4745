"""How records become questions, a file a task."""

from dataclasses import dataclass, field
from typing import Literal

from vlm3_jax.data.sampling.correspondence import CorrespondenceSampling
from vlm3_jax.data.sampling.depth import DepthSampling
from vlm3_jax.data.sampling.objects import ObjectsSampling
from vlm3_jax.data.sampling.pose import PoseSampling
from vlm3_jax.data.sampling.samples import (
    Question,
    Sampling,
    evaluation_sample,
    training_sample,
)

Task = Literal["depth", "correspondence", "pose", "objects"]


@dataclass(frozen=True)
class Samplings:
    """How each task asks."""

    depth: DepthSampling = field(default_factory=DepthSampling)
    correspondence: CorrespondenceSampling = field(default_factory=CorrespondenceSampling)
    pose: PoseSampling = field(default_factory=PoseSampling)
    objects: ObjectsSampling = field(default_factory=ObjectsSampling)

    def of(self, task: Task) -> Sampling:
        """How one task asks."""
        return getattr(self, task)


__all__ = [
    "CorrespondenceSampling",
    "DepthSampling",
    "ObjectsSampling",
    "PoseSampling",
    "Question",
    "Sampling",
    "Samplings",
    "Task",
    "evaluation_sample",
    "training_sample",
]
