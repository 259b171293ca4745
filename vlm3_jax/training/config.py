"""The configuration of a training run."""

from dataclasses import dataclass, field
from typing import Literal

from vlm3_jax.boards import WandbConfig
from vlm3_jax.data.pipeline import DataConfig
from vlm3_jax.errors import BadInput
from vlm3_jax.models.attention.kernels import Kernel, choose_kernel
from vlm3_jax.models.execution import Execution
from vlm3_jax.models.stack import Remat
from vlm3_jax.parallel.mesh import MeshConfig
from vlm3_jax.training.checkpoint import CheckpointConfig
from vlm3_jax.training.optimizer import OptimizerConfig


@dataclass(frozen=True)
class ModelConfig:
    """Which model, and how it is computed."""

    checkpoint: str
    """Hugging Face folder or hub id, or a folder that `train` or `convert` wrote."""
    init: Literal["checkpoint", "random"] = "checkpoint"
    """Start from the checkpoint's weights, or from random ones of its shape."""
    compute_dtype: Literal["bfloat16", "float32"] = "bfloat16"
    """Type of the forward and backward pass."""
    param_dtype: Literal["bfloat16", "float32"] = "float32"
    """Type that parameters are kept in. bfloat16 halves their memory, but loses every update that
    is smaller than about 1/500 of its parameter, which most are at usual learning rates."""
    remat: Remat = Remat(text="full", vision="full")  # noqa: RUF009 (it is frozen)
    """What the backward pass computes again, to save memory."""
    attention: Literal["auto", Kernel] = "auto"
    """What computes attention; `auto` is the kernel meant for the platform."""


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides a run."""

    model: ModelConfig
    data: DataConfig
    optimizer: OptimizerConfig
    total_steps: int
    """Updates of the whole run; the learning rate reaches zero at its end."""
    batch_size: int
    """Rows an update, over all devices; a packed row holds several samples."""
    gradient_accumulation: int = 1
    """Parts of equal size that the rows of an update go through in turn, to save memory. The update
    is that of the whole batch."""
    mesh: MeshConfig = field(default_factory=MeshConfig)
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
    seed: int = 0
    """Of random weights and of the data's order and questions."""
    log_every: int = 10
    """Steps between two lines of metrics."""
    wandb: WandbConfig = field(default_factory=WandbConfig)
    """Where metrics are shown beside TensorBoard."""

    def __post_init__(self):
        for name in ("total_steps", "batch_size", "gradient_accumulation", "log_every"):
            if getattr(self, name) < 1:
                raise BadInput(f"{name} is {getattr(self, name)}, but must be at least 1.")

    def execution(self, platform: str) -> Execution:
        """How the model is computed on a platform (`jax.Device.platform`).

        Raises:
            BadInput: `model.attention` does not run there.
        """
        on_cpu = platform == "cpu"
        return Execution(
            remat=self.model.remat,
            attention=choose_kernel(self.model.attention, platform),
            max_sample_tokens=self.data.max_sample_tokens,
            max_image_patches=self.data.max_image_patches,
            flat_products=on_cpu,
            recompute_activation=on_cpu,
        )


# What may change when a run resumes: it alters what is written, never what is learned.
FREE_KEYS = ("log_every", "checkpoint", "wandb")
