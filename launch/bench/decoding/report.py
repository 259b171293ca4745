"""What the rounds of all sides say together."""

from collections.abc import Sequence
from dataclasses import asdict
from statistics import mean, median
from typing import Any

import numpy as np

from launch.bench.decoding.agreement import agreements
from launch.bench.decoding.flops import decoding_flops, prompt_sizes
from launch.bench.decoding.plan import SIDES, OurSide, Outcome, Pass, Plan, TorchSide
from launch.bench.tables import rate, spread, stats
from vlm3_jax.data.encoder import Encoder

OURS = "ours"


def summary(plan: Plan, rounds: dict[str, list[Outcome]]) -> dict[str, Any]:
    """All figures, in plain JSON types.

    Args:
        plan: what was run.
        rounds: the outcomes of each side by its name; `ours` is among them.
    """
    encoder = Encoder.from_folder(plan.weights)
    figures: dict[str, Any] = {
        "images": [sample.key for sample in plan.samples],
        "max_new_tokens": plan.max_new_tokens,
        "sides": {name: _side(outcomes) for name, outcomes in rounds.items()},
        "comparisons": [],
    }
    for number, questions in enumerate(plan.counts):
        ours = [outcome.passes[number] for outcome in rounds[OURS]]
        work = _work(encoder, plan, ours[0])
        ratios = {
            name: _ratio([_pass(outcome, number) for outcome in outcomes], ours)
            for name, outcomes in rounds.items()
            if name != OURS
        }
        comparison = {"questions_an_image": questions, "work": work, "times_as_fast_as": ratios}
        if "notebook" in ratios:
            comparison["reached"] = ratios["notebook"]["medians"] / work["bound"]
        figures["comparisons"].append(comparison)
    if len(plan.counts) > 1:
        figures["slopes"] = {
            name: _slope(plan, outcomes)
            for name, outcomes in rounds.items()
            if isinstance(SIDES[name], OurSide)
        }
    figures["agreement"] = {name: asdict(found) for name, found in agreements(rounds).items()}
    return figures


def first_difference(figures: dict[str, Any]) -> str | None:
    """Names the first question that two sides answered differently; None where there is none."""
    for name, found in figures["agreement"].items():
        if found["first_difference"] is not None:
            image, question, token, other = found["first_difference"]
            return (
                f"{name} and {other} differ in question {question} (from 0) about"
                f" {figures['images'][image]}, from token {token} on"
            )
    return None


def readable(figures: dict[str, Any]) -> str:
    """The figures as a table."""
    sides = figures["sides"]
    lines = [f"{name}: {_list(side['about'])}" for name, side in sides.items()]
    for number, comparison in enumerate(figures["comparisons"]):
        lines += ["", *_comparison_lines(figures, comparison, number)]
    lines.append("")
    lines += [
        f"{name}: {slope['seconds_an_image']:.4f} s an image and"
        f" {slope['seconds_a_further_question']:.4f} s a question (least squares)"
        for name, slope in figures.get("slopes", {}).items()
    ]
    lines += [
        f"{name}: {found['identical']} of {found['compared']} answers have the token ids of the"
        f" sides before; {found['agreeing_tokens']:.1f} tokens agree on average"
        for name, found in figures["agreement"].items()
    ]
    return "\n".join(lines)


def _side(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    return {
        "about": outcomes[0].about,
        "start_seconds": outcomes[0].start_seconds,  # Later rounds find compiled programs.
        "passes": [_passes(several) for several in zip(*(o.passes for o in outcomes), strict=True)],
    }


def _passes(rounds: Sequence[Pass]) -> dict[str, Any]:
    first, seconds = rounds[0], [one.seconds for one in rounds]
    return {
        "questions_an_image": first.questions_an_image,
        "answered": len(first.answers),
        "seconds": seconds,
        "seconds_a_question": stats([one.seconds_a_question for one in rounds]),
        "questions_per_s": rate(len(first.answers), seconds),
        "new_tokens_per_s": rate(first.new_tokens, seconds),
        "compilations": max(one.compilations for one in rounds),
        "engine": first.engine,
    }


def _work(encoder: Encoder, plan: Plan, answered: Pass) -> dict[str, float]:
    """Means of an image, and FLOPs a question; the bound is what sharing alone can win."""
    config, questions = encoder.config, answered.questions_an_image
    prompts = [prompt_sizes(encoder, sample, questions) for sample in plan.samples]
    flops = [
        decoding_flops(
            config, one, [len(answered.answers[image, turn]) for turn in range(questions)]
        )
        for image, one in enumerate(prompts)
    ]
    alone, shared = (sum(each) / len(answered.answers) for each in zip(*flops, strict=True))
    return {
        "patches": mean(one.patches for one in prompts),
        "image_tokens": mean(one.image_tokens for one in prompts),
        "prefix_tokens": mean(one.prefix for one in prompts),
        "own_tokens": mean(mean(one.own) for one in prompts),
        "new_tokens": answered.new_tokens / len(answered.answers),
        "flops_alone": alone,
        "flops_shared": shared,
        "bound": alone / shared,
    }


def _pass(outcome: Outcome, number: int) -> Pass:
    """The pass for a number of questions; transformers' only one holds for all."""
    return outcome.passes[min(number, len(outcome.passes) - 1)]


def _ratio(others: Sequence[Pass], ours: Sequence[Pass]) -> dict[str, Any]:
    long, short = ([one.seconds_a_question for one in side] for side in (others, ours))
    return {
        "medians": median(long) / median(short),
        "by_round": [a / b for a, b in zip(long, short, strict=True)],
    }


def _slope(plan: Plan, outcomes: Sequence[Outcome]) -> dict[str, float]:
    """Least squares through the seconds of all passes of all rounds."""
    points = [
        (one.questions_an_image, one.seconds / len(plan.samples))
        for outcome in outcomes
        for one in outcome.passes
    ]
    slope, start = np.polyfit(*zip(*points, strict=True), deg=1)
    return {"seconds_an_image": float(start), "seconds_a_further_question": float(slope)}


def _comparison_lines(
    figures: dict[str, Any], comparison: dict[str, Any], number: int
) -> list[str]:
    work, ratios = comparison["work"], comparison["times_as_fast_as"]
    images, questions = len(figures["images"]), comparison["questions_an_image"]
    lines = [
        f"{questions} questions on each of {images} images of {work['patches']:.0f} patches and"
        f" {work['image_tokens']:.0f} tokens; {work['prefix_tokens']:.0f} tokens in common,"
        f" {work['own_tokens']:.1f} a question, {work['new_tokens']:.1f} an answer.",
        f"FLOPs a question: {work['flops_alone'] / 1e9:.2f}e9 alone,"
        f" {work['flops_shared'] / 1e9:.2f}e9 with what is common computed once. By these alone"
        f" ours could be {work['bound']:.2f} times as fast as the notebook"
        + (f"; it is {comparison['reached']:.2f} of that." if "reached" in comparison else "."),
        f"{'':16}{'s a question, median (least to most)':>40}{'questions/s':>13}{'tokens/s':>10}"
        f"{'answered':>10}{'ours is faster':>16}",
    ]
    for name, side in figures["sides"].items():
        one = side["passes"][min(number, len(side["passes"]) - 1)]
        ratio = f"{ratios[name]['medians']:.2f} times" if name in ratios else ""
        lines.append(
            f"{name:16}{spread(one['seconds_a_question'], 4):>40}"
            f"{one['questions_per_s']['median']:>13.2f}{one['new_tokens_per_s']['median']:>10.1f}"
            f"{one['answered']:>10}{ratio:>16}"
        )
        if isinstance(SIDES[name], TorchSide) and one["answered"] < questions * images:
            lines[-1] += f"  (timed on {one['answered']} of the {questions * images})"
        if one["compilations"]:
            lines[-1] += f"  (compiled {one['compilations']} programs meanwhile)"
        if one["engine"]:
            lines.append(f"{'':16}{_list(one['engine'])}")
    return lines


def _list(values: dict[str, Any]) -> str:
    return ", ".join(
        f"{key} {value:.3f}" if isinstance(value, float) else f"{key} {value}"
        for key, value in values.items()
    )
