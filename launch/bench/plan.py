"""What both sides of the training benchmark are given, and what they give back."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vlm3_jax.models.inputs import Batch
from vlm3_jax.training.config import TrainConfig

WARM_UP_STEPS = 2
"""Updates before the clock starts; the first of them is compared between the sides."""


@dataclass(frozen=True)
class Plan:
    """The work, equal for both sides."""

    config: TrainConfig
    weights: Path
    """Hugging Face folder that both start from."""
    batches: tuple[Batch, ...]
    """NumPy arrays; a round makes one update from each, in this order."""
    learning_rates: tuple[float, ...]
    """Of every update, those of the warm-up first."""
    conversations_at_a_time: int
    """That go through torch together, padded to the longest; 0 finds the fastest number."""
    torch_attention: str
    """`attn_implementation` of transformers."""
    platform: str = "cpu"
    """What torch runs on, as jax calls it (`jax.Device.platform`)."""

    @property
    def warm_up(self) -> tuple[Batch, ...]:
        """The batches of the warm-up."""
        return tuple(self.batches[i % len(self.batches)] for i in range(WARM_UP_STEPS))


@dataclass(frozen=True)
class Outcome:
    """What a side measured in one round, in a process of its own."""

    seconds: float
    """Of one update from every batch, from the first call to the last result."""
    start_seconds: float
    """Of compiling, or of finding how many conversations to take at a time."""
    first_loss: float
    """Of the first batch, before any update."""
    first_grad_norm: float
    """Likewise, before clipping."""
    last_loss: float
    """Of the last batch, before the last update."""
    peak_bytes: int | None
    """Most memory of the accelerator that was in use; None where it cannot be told."""
    about: dict[str, Any]
    """Versions, device, and choices made; plain JSON types."""
