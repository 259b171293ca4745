"""The page about one evaluation."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from vlm3_jax.data.records import Record
from vlm3_jax.evaluation.page import (
    comparison,
    correspondence,
    depth,
    metrics,
    objects,
    pose,
    published,
    samples,
)
from vlm3_jax.evaluation.page.grouping import Line
from vlm3_jax.page import document as doc

TASKS = {"depth": depth, "correspondence": correspondence, "pose": pose, "objects": objects}

RecordOf = Callable[[Line], Record]
"""Gives the record that a line is about."""


def page(results: Mapping[str, Any], lines: Sequence[Line], record_of: RecordOf) -> str:
    """The report as HTML.

    Args:
        results: content of `results.json`.
        lines: of `predictions.jsonl`.
        record_of: asked for the few samples that are drawn.
    """
    benchmarks = results["benchmarks"]
    by_name: dict[str, list[Line]] = {name: [] for name in benchmarks}
    for line in lines:
        by_name[line["benchmark"]].append(line)
    sections = [
        doc.Section(name, _benchmark(one, by_name[name], record_of))
        for name, one in benchmarks.items()
    ]
    beside = doc.Section("Beside published figures", [*_control(results), *_beside(benchmarks)])
    settings = doc.preformatted(json.dumps(results["config"], indent=2))
    how = doc.Section("Settings", [doc.details("All that decides the results", [settings])])
    title = f"Evaluation of {results['checkpoint']}"
    lead = f"Computed in {results['dtype']} on {results['device']}: {_size(benchmarks)}."
    return doc.document(title, [beside, *sections, how], lead, contents=True)


def _size(benchmarks: Mapping[str, Any]) -> str:
    questions = sum(one["counts"]["questions"] for one in benchmarks.values())
    ending = "" if len(benchmarks) == 1 else "s"
    return f"{questions:,} questions of {len(benchmarks)} benchmark{ending}"


def _control(results: Mapping[str, Any]) -> list[Markup]:
    if not results["swap_images"]:
        return []
    text = (
        "A control: questions were asked about other images than those that were shown. What is"
        " right here is right without looking."
    )
    return [doc.notes([text])]


def _beside(benchmarks: Mapping[str, Any]) -> list[Markup]:
    evaluated = {one["task"] for one in benchmarks.values()}
    tables = published.read()
    return [
        part
        for task in TASKS
        if task in evaluated
        for part in comparison.compare(tables[task], benchmarks, task)
    ]


def _benchmark(one: Mapping[str, Any], lines: Sequence[Line], record_of: RecordOf) -> list[str]:
    task = TASKS[one["task"]]
    # Pairs need wide cards, two in a row; single images three.
    picked = samples.chosen(task.samples(lines), each=2 if task.PAIRS else 3)
    return [
        f"{one['task'].capitalize()} on {one['dataset']}, split {one['split']}.",
        metrics.counts(one),
        *metrics.warnings(one),
        metrics.table(one),
        doc.charts(task.charts(lines)),
        doc.heading("Best and worst samples"),
        f"Ranked by {task.RANKED_BY}.",
        samples.cards(task, picked, record_of),
        *samples.failures(lines),
    ]
