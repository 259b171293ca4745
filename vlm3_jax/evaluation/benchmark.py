"""Depth at labelled points: asks every question of a set, in order, and judges the answers."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from vlm3_jax.data.encoder import Encoded, Encoder
from vlm3_jax.data.sampling import evaluation_sample
from vlm3_jax.data.sources import DepthSource
from vlm3_jax.decoding.runner import Answer, Decoder
from vlm3_jax.errors import BadInput
from vlm3_jax.evaluation.config import EvalConfig
from vlm3_jax.evaluation.progress import Progress
from vlm3_jax.tasks import depth
from vlm3_jax.tasks.certainty import Certainty


@dataclass(frozen=True)
class Prediction:
    """One question, what the model said to it, and what was right."""

    image: str
    """Key of the view that is asked about."""
    shown_image: str
    """Key of the view whose image was shown: another one where images are swapped."""
    point_xy: tuple[float, float]
    """Pixel of the view's original image."""
    prompt: str
    answer: str
    token_ids: tuple[int, ...]
    finished: bool
    """Whether the answer ended before it was cut at the configured length."""
    parsed: float | None
    """Metres; None where the answer holds no number."""
    truth: float
    """Metres."""
    score: int
    """1 within a factor of 1.25 of the truth, else 0."""
    log_probability: float
    """Natural logarithm, of the whole answer."""
    certainty: Certainty | None = None
    """Of the answer's first number; None without branches."""


@dataclass(frozen=True)
class _Asked:
    view: int
    image: str
    shown_image: str
    question: depth.Question


def predict_depth(
    config: EvalConfig, source: DepthSource, encoder: Encoder, decoder: Decoder
) -> list[Prediction]:
    """Asks and answers all questions of a set, view by view.

    The points drawn in a view depend only on the seed and on the view's place in the set.

    Raises:
        BadInput: a record cannot be used (the message names it), no point is labelled, or images
            are to be swapped and there is only one.
    """
    waiting: deque[_Asked] = deque()
    progress = Progress(len(source), "views", "questions")
    predictions = []
    decoder.expect(encoder.encode_answer(depth.format_answer(1.23)))
    for answer in decoder.answer(_prompts(config, source, encoder, waiting)):
        asked = waiting.popleft()
        progress.report(asked.view, len(predictions))
        predictions.append(_judge(asked, answer, encoder, config.decoding.branches))
    progress.close()
    if not predictions:
        raise BadInput(f"{config.dataset.name} has no labelled point: choose another split.")
    return predictions


def _prompts(
    config: EvalConfig, source: DepthSource, encoder: Encoder, waiting: deque[_Asked]
) -> Iterator[list[Encoded]]:
    """The prompts of each view; what is asked is put in `waiting` as they are drawn."""
    if config.swap_images and len(source) < 2:
        raise BadInput("config.swap_images needs at least two images, but the split holds one.")
    # Half the set away, for neighbours often show the same scene.
    shift = len(source) // 2 if config.swap_images else 0
    for view in range(len(source)):
        record = source[view]
        shown = source[(view + shift) % len(source)] if shift else record
        rng = np.random.default_rng((config.seed, view))
        sample, questions = evaluation_sample(config.sampling, record, rng, shown)
        waiting.extend(_Asked(view, record.key, shown.key, question) for question in questions)
        yield encoder.encode_prompts(sample)


def _judge(asked: _Asked, answer: Answer, encoder: Encoder, branches: int) -> Prediction:
    text = encoder.decode(answer.token_ids)
    parsed = depth.parse_answer(text)
    question = asked.question
    return Prediction(
        image=asked.image,
        shown_image=asked.shown_image,
        point_xy=question.point_xy,
        prompt=question.prompt,
        answer=text,
        token_ids=answer.token_ids,
        finished=answer.finished,
        parsed=parsed,
        truth=question.truth,
        score=int(depth.is_correct(parsed, question.truth)),
        log_probability=answer.log_probability,
        certainty=depth.certainty(*answer.distribution) if branches else None,
    )
