"""What the rounds of both sides say together."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from launch.bench.plan import Outcome, Plan
from launch.bench.tables import rate, spread, stats
from vlm3_jax.errors import BadInput
from vlm3_jax.models.inputs import Batch
from vlm3_jax.models.qwen3_vl.config import Qwen3VLConfig
from vlm3_jax.training.flops import training_flops

TOLERANCES = {"float32": 1e-3, "bfloat16": 3e-2}
"""Largest relative difference of the first loss and gradient norm, by compute type."""


@dataclass(frozen=True)
class Work:
    """What a round consists of, without padding and without what is computed again."""

    updates: int
    samples: int
    tokens: int
    """Text and images in the language model."""
    image_tokens: int
    """Those of them that are images."""
    answer_tokens: int
    flops: float
    """See `training_flops`."""
    token_fill: float
    """Share of our rows that is not padding; torch's is in what it says about itself."""
    patch_fill: float


def work_of(batches: Sequence[Batch], model: Qwen3VLConfig) -> Work:
    """Counts what batches of NumPy arrays hold."""
    is_token = [batch.text.segment_ids > 0 for batch in batches]
    is_patch = [batch.images.segment_ids > 0 for batch in batches]
    return Work(
        updates=len(batches),
        samples=sum(int(batch.text.segment_ids.max(axis=-1).sum()) for batch in batches),
        tokens=sum(int(mask.sum()) for mask in is_token),
        image_tokens=sum(int((batch.text.visual_index >= 0).sum()) for batch in batches),
        answer_tokens=sum(int((batch.loss_weights > 0).sum()) for batch in batches),
        flops=sum(float(training_flops(model, batch)) for batch in batches),
        token_fill=float(sum(mask.mean() for mask in is_token) / len(batches)),
        patch_fill=float(sum(mask.mean() for mask in is_patch) / len(batches)),
    )


def check_agreement(mine: Outcome, theirs: Outcome, compute_dtype: str) -> None:
    """Checks that the first update, from the same weights and samples, was the same.

    Raises:
        BadInput: its loss or gradient differs by more than rounding explains.
    """
    for name in ("first_loss", "first_grad_norm"):
        one, other = getattr(mine, name), getattr(theirs, name)
        if not abs(one - other) <= TOLERANCES[compute_dtype] * abs(other):
            raise BadInput(
                f"the sides do not do the same work, so their speeds say nothing: {name} is"
                f" {one:.6g} in vlm3_jax and {other:.6g} in transformers."
            )


def summary(plan: Plan, rounds: dict[str, list[Outcome]]) -> dict[str, Any]:
    """All figures, in plain JSON types.

    Args:
        plan: what was run.
        rounds: the outcomes of each side by its name, ours first.
    """
    work = work_of(plan.batches, Qwen3VLConfig.from_folder(plan.weights))
    mine, *others = rounds.values()
    peak = mine[0].about["peak_flops"]
    figures = {
        "work": asdict(work),
        "sides": {name: _side(work, outcomes, peak) for name, outcomes in rounds.items()},
    }
    for theirs in others:
        seconds, longer = ([one.seconds for one in side] for side in (mine, theirs))
        figures["times_as_fast"] = {
            "medians": median(longer) / median(seconds),
            "best_rounds": min(longer) / min(seconds),
            "by_round": [b / a for a, b in zip(seconds, longer, strict=True)],
        }
    return figures


def readable(figures: dict[str, Any]) -> str:
    """The figures as a table."""
    work, sides = figures["work"], figures["sides"]
    lines = [
        f"A round is {work['updates']} updates from {work['samples']} samples of"
        f" {work['tokens']} tokens, {work['image_tokens']} of them images and"
        f" {work['answer_tokens']} answers: {work['flops'] / 1e12:.3f} TFLOP.",
        f"Our rows are filled to {work['token_fill']:.3f} with tokens and"
        f" {work['patch_fill']:.3f} with patches.",
    ]
    lines += [
        f"{name}: {', '.join(f'{key} {value}' for key, value in side['about'].items())}"
        for name, side in sides.items()
    ]
    lines.append(_line("median (least to most)", list(sides)))
    for title, key, digits in (
        ("samples/s", "samples_per_s", 3),
        ("tokens/s", "tokens_per_s", 1),
        ("TFLOP/s", "tflops_per_s", 3),
        ("seconds an update", "seconds_per_update", 3),
        ("MFU", "mfu", 3),
    ):
        cells = [spread(side[key], digits) for side in sides.values() if key in side]
        lines += [_line(title, cells)] if cells else []
    for title, key, digits in (
        ("peak memory, GB", "peak_gb", 2),
        ("start, s", "start_seconds", 1),
        ("first loss", "first_loss", 5),
        ("first gradient norm", "first_grad_norm", 4),
        ("last loss", "last_loss", 5),
    ):
        cells = [f"{side[key]:.{digits}f}" for side in sides.values() if key in side]
        lines += [_line(title, cells)] if cells else []
    if "times_as_fast" in figures:
        ratio = figures["times_as_fast"]
        lines.append(
            f"vlm3_jax makes {ratio['medians']:.2f} times the tokens/s of transformers by medians,"
            f" {ratio['best_rounds']:.2f} by best rounds; by round"
            f" {', '.join(f'{value:.2f}' for value in ratio['by_round'])}"
        )
    return "\n".join(lines)


def _side(work: Work, outcomes: Sequence[Outcome], peak: float | None) -> dict[str, Any]:
    seconds = [outcome.seconds for outcome in outcomes]
    first = outcomes[0]
    side = {
        "about": first.about,
        "seconds": seconds,
        "samples_per_s": rate(work.samples, seconds),
        "tokens_per_s": rate(work.tokens, seconds),
        "tflops_per_s": rate(work.flops / 1e12, seconds),
        "seconds_per_update": stats([value / work.updates for value in seconds]),
        "start_seconds": first.start_seconds,  # Later rounds find compiled programs in a cache.
        "first_loss": first.first_loss,
        "first_grad_norm": first.first_grad_norm,
        "last_loss": first.last_loss,
    }
    if peak is not None:
        side["mfu"] = rate(work.flops / peak, seconds)
    if first.peak_bytes is not None:
        side["peak_gb"] = max(outcome.peak_bytes for outcome in outcomes) / 1e9
    return side


def _line(title: str, cells: Sequence[str]) -> str:
    return f"{title:24}" + "".join(f"{cell:>32}" for cell in cells)
