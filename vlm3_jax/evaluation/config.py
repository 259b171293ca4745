"""The configuration of an evaluation."""

import re
from dataclasses import dataclass, field
from typing import Literal

from vlm3_jax.data.sampling import Sampling, Samplings, Task
from vlm3_jax.decoding.config import DecodingConfig
from vlm3_jax.errors import BadInput
from vlm3_jax.parallel.mesh import MeshConfig


@dataclass(frozen=True)
class Benchmark:
    """Questions of one task about the records of one dataset; nothing else decides which."""

    task: Task
    dataset: str
    """Name of a built set, with its TFDS config where it has several: `synthetic_rooms/views`."""
    split: str = "test"
    """A split or, in TFDS's notation, a part of one: `test[10%:]`."""
    data_dir: str | None = None
    """Folder that this set was built into, where it is not that of the evaluation."""
    images: int | None = None
    """Records (images, or pairs of them) asked about: the first ones, which are a sample of the
    whole since builds order by a hash; all of them if None, or if there are fewer."""
    sampling: Samplings = field(default_factory=Samplings)
    """How questions are asked; only the task's own settings count."""
    seed: int = 0
    """Of what is drawn in each image."""

    def __post_init__(self):
        if self.images is not None and self.images < 1:
            raise BadInput(f"images is {self.images}, but must be at least 1, or None for all.")
        if self.task == "pose" and self.sampling.pose.questions_per_pair is not None:
            raise BadInput(
                "sampling.pose.questions_per_pair must be None: a pose is judged by all answers"
                " about its pair."
            )

    @property
    def asks(self) -> Sampling:
        """How records become the task's questions."""
        return self.sampling.of(self.task)


@dataclass(frozen=True)
class EvalConfig:
    """Everything that decides the results."""

    benchmarks: dict[str, Benchmark]
    """What is asked, by name."""
    data_dir: str = "data"
    """Folder that the sets were built into."""
    swap_images: bool = False
    """The control: every record's questions are asked about another record's images. What a model
    still scores is what it knows without looking."""
    decoding: DecodingConfig = field(default_factory=DecodingConfig)
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Type of the computation; auto is float32 on a CPU and bfloat16 elsewhere."""
    mesh: MeshConfig = field(default_factory=lambda: MeshConfig(replica=-1, fsdp=1))
    """By default every device holds the whole model; tensor is for models that do not fit."""

    def __post_init__(self):
        if not self.benchmarks:
            raise BadInput("benchmarks is empty: name at least one.")
        for name in self.benchmarks:
            if not re.fullmatch(r"\w+", name):
                raise BadInput(f"benchmarks has the name {name!r}: use letters, digits and _.")

    def data_dir_of(self, benchmark: Benchmark) -> str:
        """Where a benchmark's set was built into."""
        return benchmark.data_dir or self.data_dir
