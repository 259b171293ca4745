"""Every way to decode says the tokens that transformers says, in float32."""

import json

import numpy as np
import pytest

from tests.decoding.cases import WAYS, ask, mixed_samples, our_answers
from tests.decoding.reference import liveliness
from vlm3_jax.data.images import decode, resize
from vlm3_jax.decoding.load import read_stop_tokens
from vlm3_jax.geometry.camera import Camera, unify_focal
from vlm3_jax.tasks import depth

TOKENS = 40


def expected_answers(reference, samples, stop_tokens) -> list[tuple[int, ...]]:
    alone = [sample.alone(i) for sample in samples for i in range(len(sample.turns))]
    return [tuple(reference.generate(one, TOKENS, stop_tokens)) for one in alone]


@pytest.fixture(scope="module")
def mixed(lively_hf, reference):
    """One image with three questions, two images, text only: and what transformers says."""
    samples = mixed_samples()
    return samples, expected_answers(reference, samples, list(read_stop_tokens(lively_hf)))


@pytest.mark.parametrize(
    ("share_prefix", "refill", "draft_tokens"),
    [WAYS[1], *(pytest.param(*way, marks=pytest.mark.slow) for way in WAYS[2:])],
)
def test_same_tokens_every_way(lively_hf, mixed, share_prefix, refill, draft_tokens):
    samples, expected = mixed
    answers = our_answers(
        lively_hf,
        samples,
        images=2,
        questions=2,
        max_new_tokens=TOKENS,
        share_prefix=share_prefix,
        refill=refill,
        draft_tokens=draft_tokens,
    )
    assert [answer.token_ids for answer in answers] == expected


@pytest.fixture(scope="module")
def real(ibims1, lively_hf, reference):
    """30 questions about each of 10 real images, every other time with a second image."""
    lines = list(map(json.loads, (ibims1 / "ibims1.jsonl").read_text().splitlines()))[::6]
    views = []
    for line in lines:
        camera = Camera.from_array(line["intrinsics"])
        unified = unify_focal(camera, 150)
        image = decode((ibims1 / line["image"]).read_bytes(), line["image"])
        prompts = depth.prompts(camera, unified, np.array(line["pixel_coords"][:30]))
        views.append((resize(image, unified.width, unified.height), prompts, line["image"]))
    samples = [
        ask(name, [image] if i % 2 else [image, views[i - 1][0]], *prompts)
        for i, (image, prompts, name) in enumerate(views)
    ]
    expected = expected_answers(reference, samples, list(read_stop_tokens(lively_hf)))
    assert len(expected) == 300 and liveliness(expected) > 0.8
    return samples, expected


@pytest.mark.slow
@pytest.mark.parametrize("questions", [1, 7, 100])
def test_same_tokens_on_300_questions(lively_hf, real, questions):
    """In every way, with 1, 7 and 100 rows."""
    samples, expected = real
    for share_prefix, refill, draft_tokens in WAYS:
        answers = our_answers(
            lively_hf,
            samples,
            images=1 if share_prefix else 4,
            questions=questions,
            max_new_tokens=TOKENS,
            share_prefix=share_prefix,
            refill=refill,
            draft_tokens=draft_tokens,
        )
        assert [answer.token_ids for answer in answers] == expected
