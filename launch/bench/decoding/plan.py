"""What all sides of the decoding benchmark are given, and what they give back."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vlm3_jax.data.chat import Sample

Answers = dict[tuple[int, int], tuple[int, ...]]
"""Token ids of the answer to a question, by the numbers of its image and of itself."""


@dataclass(frozen=True)
class TorchSide:
    """transformers, with so many questions at a time, each with its image."""

    batch: int


@dataclass(frozen=True)
class OurSide:
    """The decoder of this project, with or without what makes it fast."""

    share_prefix: bool = True
    draft: bool = True
    one_row: bool = False
    """Whether one question is answered at a time."""


SIDES: dict[str, TorchSide | OurSide] = {
    "notebook": TorchSide(batch=1),
    "batched": TorchSide(batch=8),
    "ours": OurSide(),
    "ours_no_prefix": OurSide(share_prefix=False),
    "ours_no_draft": OurSide(draft=False),
    "ours_one_row": OurSide(one_row=True),
}
"""By the names of --sides; the notebook is VLM3's."""


@dataclass(frozen=True)
class Plan:
    """The work, equal for all sides."""

    weights: Path
    """Hugging Face folder that all start from; it also says which tokens end an answer."""
    samples: tuple[Sample, ...]
    """One an image, its questions as turns; each question is asked alone."""
    counts: tuple[int, ...]
    """Numbers of questions an image, ascending: a pass asks the first ones of every image."""
    max_new_tokens: int
    in_flight: int
    """Questions of an image that ours answers at a time."""
    torch_questions: int
    """Questions that suffice to time transformers, for which all cost the same."""
    torch_attention: str
    """`attn_implementation` of transformers."""
    dtype: str = "auto"
    platform: str = "cpu"
    """What torch runs on, as jax calls it (`jax.Device.platform`)."""

    def for_torch(self, side: TorchSide) -> list[tuple[int, int]]:
        """The questions that transformers answers, image after image: two batches at least."""
        turns = range(self.counts[-1])
        keys = [(image, turn) for turn in turns for image in range(len(self.samples))]
        return keys[: max(self.torch_questions, 2 * side.batch)]


@dataclass(frozen=True)
class Pass:
    """A number of questions, asked of every image."""

    questions_an_image: int
    seconds: float
    """From images and texts to token ids; loading, compiling and warming up are not in it."""
    answers: Answers = field(repr=False)
    compilations: int = 0
    """Programs compiled during it; they would be in its seconds."""
    engine: dict[str, float] = field(default_factory=dict)
    """What the decoder counted."""

    @property
    def seconds_a_question(self) -> float:
        """Over all images."""
        return self.seconds / len(self.answers)

    @property
    def new_tokens(self) -> int:
        """Of all answers."""
        return sum(map(len, self.answers.values()))


@dataclass(frozen=True)
class Outcome:
    """What a side measured in one round, in a process of its own."""

    passes: tuple[Pass, ...]
    """Ours makes one for each number of questions; transformers makes one."""
    start_seconds: float
    """Of loading, compiling and warming up."""
    about: dict[str, Any]
    """Versions, device, and choices made; plain JSON types."""
