"""Conversations for the decoder, and its answers to them."""

from itertools import product
from pathlib import Path

import numpy as np

from tests.tiny import textured_image
from vlm3_jax.data.chat import Sample, Turn
from vlm3_jax.decoding.config import DecodingConfig
from vlm3_jax.decoding.load import load_decoder
from vlm3_jax.decoding.runner import Answer
from vlm3_jax.parallel.mesh import MeshConfig

NEW_TOKENS = 64
WAYS = list(product([True, False], [True, False], [0, 5]))
"""Of decoding: whether prefixes are shared, whether rows are refilled, tokens of a draft."""


def as_number(token: int) -> str:
    """What tokens say where a test wants numbers from a model that says anything."""
    return ("0", "1", "2", "3", "5", "7", ".", ".", " 4", "-", " m", ",")[token % 12]


def ask(key: str, images, *prompts: str) -> Sample:
    return Sample(tuple(images), tuple(Turn(prompt) for prompt in prompts), key)


def mixed_samples() -> list[Sample]:
    """One image with three questions, two images, text only, and another image."""
    rng = np.random.default_rng(3)
    images = [textured_image(rng, *size) for size in ((100, 200), (64, 160), (128, 96), (40, 300))]
    question, long_question = "How far is (12, 1990)?", "What is left of it, and of that? " * 3
    return [
        ask("one image", images[:1], question, "And this?", long_question),
        ask("two images", images[1:3], "What moved from the first image to the second?"),
        ask("text only", [], "Name three kinds of wood, and say which of them floats."),
        ask("another image", images[3:], question),
    ]


def our_answers(
    folder: Path, samples: list[Sample], mesh: MeshConfig | None = None, **settings
) -> list[Answer]:
    """Answers to every turn of the samples, each asked alone, in order."""
    config = DecodingConfig(**{"questions": 3, "max_new_tokens": NEW_TOKENS} | settings)
    encoder, decoder = load_decoder(str(folder), "float32", mesh or MeshConfig(), config)
    return list(decoder.answer(encoder.encode_prompts(sample) for sample in samples))
