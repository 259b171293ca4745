"""The decoder of vlm3_jax, timed."""

import os
import time
from dataclasses import asdict, replace

import jax

from launch.bench.decoding.plan import Answers, OurSide, Outcome, Pass, Plan
from vlm3_jax.data.chat import Sample
from vlm3_jax.data.encoder import Encoder
from vlm3_jax.decoding.config import DecodingConfig
from vlm3_jax.decoding.load import load_decoder, resolve_dtype
from vlm3_jax.decoding.runner import Decoder
from vlm3_jax.parallel.mesh import MeshConfig

_MESH = MeshConfig(fsdp=1, tensor=-1)  # As in `predict`: all devices work on one image.
_IMAGES = 4  # Most in flight.
_COMPILED = "/jax/core/compile/backend_compile_duration"


def our_config(plan: Plan, side: OurSide, questions: int) -> DecodingConfig:
    """The decoder's settings for a pass; everything that a side switches is here."""
    config = DecodingConfig(
        images=1 if side.one_row else min(len(plan.samples), _IMAGES),
        questions=1 if side.one_row else min(questions, plan.in_flight),
        max_new_tokens=plan.max_new_tokens,
        share_prefix=side.share_prefix,
    )
    return config if side.draft else replace(config, draft_tokens=0)


def measure(plan: Plan, side: OurSide) -> Outcome:
    """Makes a pass for each number of questions, each after one that warms up.

    Raises:
        BadInput: the checkpoint or the settings cannot be used.
    """
    dtype = resolve_dtype(plan.dtype)
    compiled = _watch_compilations()
    passes, start_seconds = [], 0.0
    for questions in plan.counts:
        one, seconds = _pass(plan, side, questions, dtype, compiled)
        passes.append(one)
        start_seconds += seconds
    device = jax.devices()[0]
    peak_bytes = (device.memory_stats() or {}).get("peak_bytes_in_use")
    return Outcome(
        tuple(passes),
        start_seconds,
        {
            "jax": jax.__version__,
            "platform": device.platform,
            "device": device.device_kind,
            "devices": jax.device_count(),
            "cores": len(os.sched_getaffinity(0)),
            "dtype": dtype,
            "in_flight": 1 if side.one_row else plan.in_flight,
            **({} if peak_bytes is None else {"peak_gb": round(peak_bytes / 1e9, 2)}),
        },
    )


def _pass(
    plan: Plan, side: OurSide, questions: int, dtype: str, compiled: list[str]
) -> tuple[Pass, float]:
    """The pass, and the seconds until it began."""
    started = time.perf_counter()
    config = our_config(plan, side, questions)
    encoder, decoder = load_decoder(str(plan.weights), dtype, _MESH, config)
    # Twice what is in flight has every shape that there is: rows that start, and that are refilled.
    _answer(encoder, decoder, plan.samples, min(questions, 2 * plan.in_flight))
    start_seconds = time.perf_counter() - started

    before = asdict(decoder.stats)
    compiled.clear()
    started = time.perf_counter()
    answers = _answer(encoder, decoder, plan.samples, questions)
    seconds = time.perf_counter() - started
    counts = {name: count - before[name] for name, count in asdict(decoder.stats).items()}
    steps = counts["narrow_steps"] + counts["wide_steps"]
    rows = config.questions * min(config.images, len(plan.samples))
    engine = counts | {"tokens_a_step_and_row": counts["tokens"] / max(steps, 1) / rows}
    return Pass(questions, seconds, answers, len(compiled), engine), start_seconds


def _answer(
    encoder: Encoder, decoder: Decoder, samples: tuple[Sample, ...], questions: int
) -> Answers:
    asked = [replace(sample, turns=sample.turns[:questions]) for sample in samples]
    keys = [(image, turn) for image in range(len(asked)) for turn in range(questions)]
    answers = decoder.answer(encoder.encode_prompts(sample) for sample in asked)
    return {key: answer.token_ids for key, answer in zip(keys, answers, strict=True)}


def _watch_compilations() -> list[str]:
    """A list that grows by one with every program that is compiled from now on."""
    compiled = []

    def listen(event: str, *_, **__) -> None:
        if event == _COMPILED:
            compiled.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    return compiled
