"""The configuration of an evaluation."""

from dataclasses import dataclass, field
from typing import Literal

from vlm3_jax.data.sampling import DepthSampling
from vlm3_jax.decoding.config import DecodingConfig
from vlm3_jax.parallel.mesh import MeshConfig


@dataclass(frozen=True)
class DatasetConfig:
    """Depth records that `tfds_builders.build` wrote."""

    data_dir: str
    """Folder that the sets were built into."""
    name: str
    """Name of the set, with its TFDS config where it has several: `synthetic_rooms/views`."""
    split: str = "test"
    """A split or, in TFDS's notation, a part of one: `test[:100]`."""


@dataclass(frozen=True)
class EvalConfig:
    """Everything that decides the results."""

    dataset: DatasetConfig
    sampling: DepthSampling = field(default_factory=DepthSampling)
    seed: int = 0
    """Of the points drawn in each image."""
    swap_images: bool = False
    """The control: every view's questions are asked about another view's image. What a model still
    scores is what it knows without looking."""
    decoding: DecodingConfig = field(default_factory=DecodingConfig)
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Type of the computation; auto is float32 on a CPU and bfloat16 elsewhere."""
    mesh: MeshConfig = field(default_factory=lambda: MeshConfig(replica=-1, fsdp=1))
    """By default every device holds the whole model; tensor is for models that do not fit."""
