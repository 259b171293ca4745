"""The page about one evaluation."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from markupsafe import Markup

from vlm3_jax.data.records import Record
from vlm3_jax.evaluation.page import (
    correspondence,
    depth,
    metrics,
    objects,
    pose,
    published,
    samples,
    summary,
)
from vlm3_jax.evaluation.page.grouping import Line
from vlm3_jax.page import document as doc

TASKS = {"depth": depth, "correspondence": correspondence, "pose": pose, "objects": objects}

_MANY = 0.01  # Share of answers that cannot be used from which a reader should know.
_WARNED = {"unparsed": "cannot be read", "unfinished": "were cut off before they ended"}

Records = Callable[[str, Collection[str]], Mapping[str, Record]]
"""Gives records of a benchmark by their keys."""


def page(results: Mapping[str, Any], lines: Sequence[Line], records: Records) -> str:
    """The report as HTML.

    Args:
        results: content of `results.json`.
        lines: of `predictions.jsonl`.
        records: asked for the few samples that are drawn.
    """
    benchmarks = results["benchmarks"]
    by_name: dict[str, list[Line]] = {name: [] for name in benchmarks}
    for line in lines:
        by_name[line["benchmark"]].append(line)
    sections = [
        doc.Section(name, _benchmark(name, one, by_name[name], records))
        for name, one in benchmarks.items()
    ]
    beside = doc.Section("Beside published figures", [*_warnings(results), *_beside(benchmarks)])
    if len(sections) > 1:
        beside = doc.Section(beside.title, [doc.contents(sections, above=1), *beside.parts])
    settings = json.dumps(results["config"], indent=2)
    how = doc.Section("Settings", [doc.details("All that decides the results", [_pre(settings)])])
    title = f"Evaluation of {PurePath(results['checkpoint']).name}"
    return doc.document(title, [beside, *sections, how], _lead(results, len(lines)))


def _lead(results: Mapping[str, Any], num_questions: int) -> str:
    number = len(results["benchmarks"])
    return (
        f"{results['checkpoint']}, computed in {results['dtype']} on {results['device']}:"
        f" {num_questions:,} questions of {number} benchmark{'s' if number > 1 else ''}."
    )


def _beside(benchmarks: Mapping[str, Any]) -> list[Markup]:
    evaluated = {one["task"] for one in benchmarks.values()}
    tables = published.read()
    return [
        part
        for task in TASKS
        if task in evaluated
        for part in summary.summary(tables[task], benchmarks, task)
    ]


def _warnings(results: Mapping[str, Any]) -> list[Markup]:
    texts = []
    if results["swap_images"]:
        texts.append(
            "A control: questions were asked about other images than those that were shown. No"
            " figure here is the checkpoint's own."
        )
    for name, one in results["benchmarks"].items():
        counts = one["counts"]
        for count, what in _WARNED.items():
            share = counts[count] / counts["questions"]
            if share >= _MANY:
                texts.append(f"{name}: {100 * share:.0f}% of the answers {what}.")
    return [doc.notes(texts)] if texts else []


def _benchmark(
    name: str, one: Mapping[str, Any], lines: Sequence[Line], records: Records
) -> list[str]:
    task = TASKS[one["task"]]
    picked = samples.chosen(task.samples(lines))
    found = records(name, samples.keys(picked))
    return [
        f"{one['task'].capitalize()} on {one['dataset']}, split {one['split']}.",
        metrics.headline(one),
        *metrics.warnings(one),
        doc.charts(task.charts(lines)),
        doc.details(
            "All metrics, with intervals, best constant answer and format ceiling",
            [metrics.table(one)],
        ),
        metrics.counts(one),
        f"The best and the worst samples, by {task.RANKED_BY}.",
        samples.cards(task, picked, found),
        *samples.failures(lines),
    ]


def _pre(text: str) -> Markup:
    return Markup("<pre>{}</pre>").format(text)
