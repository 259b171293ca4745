"""What every task is asked with."""

from dataclasses import dataclass
from pathlib import Path

from vlm3_jax.prediction.predictor import Predictor

_QUESTIONS = 100  # At a time, of one image or pair.


@dataclass(frozen=True, kw_only=True)
class Request:
    """The model that answers, and where to."""

    checkpoint: str
    dtype: str
    max_new_tokens: int
    out: Path | None

    def load(self, questions: int, focal: float | None = None) -> Predictor:
        """The model, ready for so many questions about an image.

        Raises:
            BadInput: it cannot be used.
        """
        return Predictor.from_pretrained(
            self.checkpoint,
            focal=focal,
            dtype=self.dtype,
            questions=min(_QUESTIONS, questions),
            max_new_tokens=self.max_new_tokens,
        )
