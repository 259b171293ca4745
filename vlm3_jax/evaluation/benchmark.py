"""Benchmarks: opens their sets, asks every question in order, and judges the answers."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from absl import logging

from vlm3_jax.data.chat import Sample
from vlm3_jax.data.encoder import Encoded, Encoder
from vlm3_jax.data.sampling import Question, evaluation_sample
from vlm3_jax.data.sources import Source, open_source
from vlm3_jax.decoding.runner import Answer, Decoder
from vlm3_jax.errors import BadInput
from vlm3_jax.evaluation.cache import AnswerCache, question_keys
from vlm3_jax.evaluation.config import Benchmark, EvalConfig
from vlm3_jax.evaluation.judging import Judge, Judged, Said
from vlm3_jax.evaluation.progress import Progress


@dataclass(frozen=True)
class Prediction:
    """One question, what the model said to it, and what that is worth."""

    index: int
    """Place in its split of the record that is asked about."""
    shown_index: int
    """Place of the record whose images were shown: another one where images are swapped."""
    shown_image: str
    """Its key."""
    answer: str
    token_ids: tuple[int, ...]
    finished: bool
    """Whether the answer ended before it was cut at the configured length."""
    log_probability: float
    """Natural logarithm, of the whole answer."""
    judged: Judged


@dataclass(frozen=True)
class _Asked:
    index: int
    shown_index: int
    image: str
    shown_image: str
    question: Question
    key: str


def open_sources(config: EvalConfig) -> dict[str, Source]:
    """Opens the sets of all benchmarks.

    Raises:
        BadInput: one or several cannot be used; the message names all of them, and the remedies.
    """
    sources, problems = {}, {}
    for name, benchmark in config.benchmarks.items():
        data_dir, kind = config.data_dir_of(benchmark), benchmark.asks.RECORD
        try:
            sources[name] = open_source(data_dir, benchmark.dataset, benchmark.split, kind)
            if config.swap_images and num_records(benchmark, sources[name]) < 2:
                raise BadInput(
                    f"swap_images needs at least two images, but {benchmark.dataset}"
                    f" {benchmark.split} gives one: choose another split."
                )
        except BadInput as error:
            problems.setdefault(str(error).removesuffix("."), []).append(name)
    if problems:
        missing = sum(map(len, problems.values()))
        told = "; ".join(f"{', '.join(names)}: {text}" for text, names in problems.items())
        raise BadInput(
            f"{missing} of {len(config.benchmarks)} benchmarks cannot be asked ({told}); mend these"
            " or choose others by their names."
        )
    return sources


def num_records(benchmark: Benchmark, source: Source) -> int:
    """How many records a benchmark asks about."""
    return len(source) if benchmark.images is None else min(benchmark.images, len(source))


def predict(
    name: str,
    config: EvalConfig,
    source: Source,
    judge: Judge,
    encoder: Encoder,
    decoder: Decoder,
    cache: AnswerCache,
) -> list[Prediction]:
    """Asks all questions of a benchmark, record by record, but for those the cache can answer.

    What is drawn about a record depends only on the seed and on the record's place in its split.

    Args:
        name: of the benchmark.
        config: of the evaluation.
        source: the records of the benchmark's split.
        judge: of its task.
        encoder: the checkpoint's.
        decoder: the checkpoint's.
        cache: gets every answer as it comes.

    Raises:
        BadInput: a record cannot be used (the message names it), or there is no question.
    """
    benchmark = config.benchmarks[name]
    asked: list[_Asked] = []
    answers: dict[int, Answer] = {}
    waiting: deque[int] = deque()

    def prompts() -> Iterator[list[Encoded]]:
        """Of each record, those without an answer; what is asked is noted as they are drawn."""
        for new, sample in _conversations(benchmark, source, config.swap_images):
            unknown = []
            for place, one in enumerate(new, start=len(asked)):
                if (answer := cache.get(one.key)) is not None:
                    answers[place] = answer
                else:
                    waiting.append(place)
                    unknown.append(sample.turns[place - len(asked)])
            asked.extend(new)
            if unknown:
                yield encoder.encode_prompts(replace(sample, turns=tuple(unknown)))

    if judge.EXPECTED:
        decoder.expect(encoder.encode_answer(judge.EXPECTED))
    progress = Progress(num_records(benchmark, source), f"images of {name}", "questions")
    count = 0
    for count, answer in enumerate(decoder.answer(prompts()), start=1):
        place = waiting.popleft()
        cache.put(asked[place].key, answer)
        answers[place] = answer
        progress.report(asked[place].index, count)
    progress.close()
    if not asked:
        raise BadInput(
            f"{name}: {benchmark.dataset} {benchmark.split} has nothing to ask about: choose"
            " another split."
        )
    if count < len(asked):
        logging.info("%s: %d answers were there already", name, len(asked) - count)
    branches = config.decoding.branches
    return [_judge(one, answers[i], judge, encoder, branches) for i, one in enumerate(asked)]


def _conversations(
    benchmark: Benchmark, source: Source, swap_images: bool
) -> Iterator[tuple[list[_Asked], Sample]]:
    """What is asked about each record, and the conversation with a turn for each question."""
    total = num_records(benchmark, source)
    # Half the set away, for neighbours often show the same scene.
    shift = total // 2 if swap_images else 0
    for index in range(total):
        shown_index = (index + shift) % total
        record = source[index]
        shown = source[shown_index] if shift else record
        rng = np.random.default_rng((benchmark.seed, index))
        sample, questions = evaluation_sample(benchmark.asks, record, rng, shown)
        asked = [
            _Asked(index, shown_index, record.key, shown.key, question, key)
            for question, key in zip(questions, question_keys(sample), strict=True)
        ]
        yield asked, sample


def _judge(
    asked: _Asked, answer: Answer, judge: Judge, encoder: Encoder, branches: int
) -> Prediction:
    text = encoder.decode(answer.token_ids)
    said = Said(text, answer.distribution if branches else None)
    return Prediction(
        index=asked.index,
        shown_index=asked.shown_index,
        shown_image=asked.shown_image,
        answer=text,
        token_ids=answer.token_ids,
        finished=answer.finished,
        log_probability=answer.log_probability,
        judged=judge.judge(asked.question, asked.image, said),
    )
