"""Every way to decode, and whether it says what transformers says."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

from launch.bench.decoding.plan import Answers, Plan
from vlm3_jax.data.chat import Sample
from vlm3_jax.decoding.config import DecodingConfig
from vlm3_jax.decoding.load import load_decoder
from vlm3_jax.parallel.mesh import MeshConfig

_DRAFT_TOKENS = 5


@dataclass(frozen=True)
class Way:
    """Settings of the decoder."""

    rows: int
    """Questions of an image that are answered at a time."""
    share_prefix: bool
    refill: bool
    draft_tokens: int

    def config(self, max_new_tokens: int) -> DecodingConfig:
        """As the decoder takes them."""
        return DecodingConfig(
            images=1 if self.share_prefix else 4,
            questions=self.rows,
            max_new_tokens=max_new_tokens,
            share_prefix=self.share_prefix,
            refill=self.refill,
            draft_tokens=self.draft_tokens,
        )


def all_ways(rows: Sequence[int]) -> list[Way]:
    """All switches on and off, with each number of rows."""
    switches = product((True, False), (True, False), (_DRAFT_TOKENS, 0))
    return [Way(number, *on) for number, on in product(rows, list(switches))]


def with_pairs(samples: Sequence[Sample]) -> tuple[Sample, ...]:
    """Every other sample with the image of the sample before it as a second one."""
    return tuple(
        replace(sample, images=(*sample.images, *samples[i - 1].images)) if i % 2 else sample
        for i, sample in enumerate(samples)
    )


def decode(plan: Plan, way: Way, mesh: MeshConfig) -> Answers:
    """Our answers to all questions of a plan."""
    config = way.config(plan.max_new_tokens)
    encoder, decoder = load_decoder(str(plan.weights), plan.dtype, mesh, config)
    answers = decoder.answer(encoder.encode_prompts(sample) for sample in plan.samples)
    keys = [(i, turn) for i, sample in enumerate(plan.samples) for turn in range(len(sample.turns))]
    return {key: answer.token_ids for key, answer in zip(keys, answers, strict=True)}


def compare(
    expected: Answers, ways: Sequence[Way], decode: Callable[[Way], Answers]
) -> Iterator[tuple[Way, int]]:
    """How many answers are those expected, a way after the other."""
    for way in ways:
        answers = decode(way)
        yield way, sum(answers[key] == tokens for key, tokens in expected.items())
