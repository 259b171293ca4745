"""From records to conversations, whatever the task."""

from typing import ClassVar, Protocol, TypeVar

import numpy as np

from vlm3_jax.data.chat import Sample, Turn
from vlm3_jax.data.images import ImageBackend
from vlm3_jax.data.records import Record
from vlm3_jax.errors import BadInput

R = TypeVar("R", bound=Record)


class Question(Protocol):
    """What every task knows of a question."""

    prompt: str
    answer: str
    """The right one, as it is trained on."""


Q = TypeVar("Q", bound=Question)


class Sampling(Protocol[R, Q]):
    """How records of one kind become questions of one task."""

    RECORD: ClassVar[type[Record]]
    """The kind of records."""

    def ask(self, record: R, rng: np.random.Generator, vary: bool) -> list[Q]:
        """Draws questions about a record; none where it has nothing to ask about.

        Args:
            record: what is asked about.
            rng: all that is random.
            vary: draw wordings too, for training; else ask as the released checkpoints were asked.

        Raises:
            BadInput: the record cannot be used.
        """

    def show(self, record: R, backend: ImageBackend = "exact") -> tuple[np.ndarray, ...]:
        """The record's images as the model sees them, uint8 [H, W, 3] each.

        Raises:
            BadInput: one does not decode, or is not of the size that its intrinsics name.
        """


def training_sample(
    sampling: Sampling[R, Q],
    record: R,
    rng: np.random.Generator,
    backend: ImageBackend = "exact",
) -> Sample | None:
    """A conversation with answers; None where the record has nothing to ask about."""
    turns = [Turn(q.prompt, q.answer) for q in sampling.ask(record, rng, vary=True)]
    return Sample(sampling.show(record, backend), tuple(turns), record.key) if turns else None


def evaluation_sample(
    sampling: Sampling[R, Q], record: R, rng: np.random.Generator, shown: R | None = None
) -> tuple[Sample, list[Q]]:
    """A conversation that waits for its answers, and what is known about its questions.

    Args:
        sampling: how.
        record: what is asked about; where there is nothing to ask, the conversation has no turn.
        rng: draws the questions.
        shown: the record whose images are shown, `record` itself if None. Another one makes the
            control of what a model knows without looking.
    """
    questions = sampling.ask(record, rng, vary=False)
    turns = tuple(Turn(q.prompt) for q in questions)
    return Sample(sampling.show(shown or record), turns, record.key), questions


def check_count(name: str, count: int | None) -> None:
    """Raises BadInput for a number of questions that cannot be drawn; None means all."""
    if count is not None and count < 1:
        raise BadInput(f"{name} is {count}, but must be at least 1, or None for all.")
