"""What both sides of the training benchmark are given, and what they give back."""

from dataclasses import dataclass
from pathlib import Path

from vlm3_jax.models.inputs import Batch
from vlm3_jax.training.config import TrainConfig

WARM_UP_STEPS = 2
"""Updates before the clock starts."""


@dataclass(frozen=True)
class Plan:
    """The work, equal for both sides."""

    config: TrainConfig
    weights: Path
    """Hugging Face folder that both start from."""
    batches: tuple[Batch, ...]
    """NumPy arrays; a round makes one update from each, in this order."""
    conversations_at_a_time: int
    """That go through torch together, padded to the longest."""


@dataclass(frozen=True)
class Outcome:
    """What a side measured, in a process of its own."""

    seconds: float
    """Of one update from every batch, from the first call to the last result."""
    start_seconds: float
    """Of compiling, and of the updates before the clock starts."""
    first_loss: float
    """Of the first batch, before any update."""
    first_grad_norm: float
    """Likewise, before clipping."""
    about: str
    """Versions, device and threads."""
