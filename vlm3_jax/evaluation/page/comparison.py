"""The project's figures beside the published ones, a table a task."""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from vlm3_jax.evaluation.page.published import Column, Table
from vlm3_jax.page import document as doc

_MEAN = "Mean"


def compare(table: Table, benchmarks: Mapping[str, Any], task: str) -> list[Markup]:
    """A table of a task: published rows, bounds of ours, and ours last.

    Columns that were evaluated come before those that were not.

    Args:
        table: what was published.
        benchmarks: of `results.json`.
        task: its name.
    """
    ours = {name: one for name, one in benchmarks.items() if one["task"] == task}
    known = {column.benchmark for column in table.columns}
    metrics = {column.metric: column for column in reversed(table.columns)}
    several = len(metrics) > 1
    own = [
        Column(
            name=f"{name}: {column.name}" if several else name,
            benchmark=name,
            metric=metric,
            percent=column.percent,
            digits=column.digits,
        )
        for name in ours
        if name not in known
        for metric, column in reversed(metrics.items())
    ]
    # What was evaluated comes first: on a narrow screen the rest is out of sight.
    columns = sorted([*table.columns, *own], key=lambda column: column.benchmark not in ours)
    head = ["", *(column.name for column in columns), *([_MEAN] if table.mean else [])]
    rows = [[model, *_published(table, columns, values)] for model, values in table.rows]
    for label, key in (
        ("Best constant answer", "best_constant"),
        ("Format ceiling", "format_ceiling"),
    ):
        rows.append([label, *_row(table, columns, {name: one[key] for name, one in ours.items()})])
    values = {name: one["metrics"] for name, one in ours.items()}
    intervals = {name: one["intervals"] for name, one in ours.items()}
    rows.append(["This checkpoint", *_row(table, columns, values, intervals)])
    caption = f"Published figures: {table.source}."
    asked = "; ".join(_asked(name, one) for name, one in ours.items())
    notes = [table.comparable, f"Asked here: {asked}."]
    if known.isdisjoint(ours):
        notes.insert(0, "None of the published sets was asked about here.")
    return [
        doc.heading(table.title),
        doc.table(head, rows, caption, last_stands_out=True),
        doc.footnotes(notes),
    ]


def _row(
    table: Table,
    columns: Sequence[Column],
    values: Mapping[str, Mapping[str, Any]],
    intervals: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[str]:
    """Figures of one kind by column, with the mean of the published ones where all are there."""
    figures = [values.get(column.benchmark, {}).get(column.metric) for column in columns]
    cells = [column.text(figure) for column, figure in zip(columns, figures, strict=True)]
    for place, column in enumerate(columns):
        ends = (intervals or {}).get(column.benchmark, {}).get(column.metric)
        if ends is not None:
            low, high = map(column.text, ends)
            cells[place] = Markup("{}<small>{} to {}</small>").format(cells[place], low, high)
    if table.mean:
        published = [
            value for column, value in zip(columns, figures, strict=True) if column in table.columns
        ]
        mean = None if None in published else sum(published) / len(published)
        cells.append(table.columns[0].text(mean))
    return cells


def _published(table: Table, columns: Sequence[Column], values: Sequence[str]) -> list[str]:
    """A published row, its mean last, in the order of these columns."""
    by_column = dict(zip(table.columns, values, strict=False))
    return [by_column.get(column, "-") for column in columns] + list(values[len(table.columns) :])


def _asked(name: str, one: Mapping[str, Any]) -> str:
    counts, judged_by = one["counts"], one["facts"].get("judged_by")
    return (
        f"{name}, {counts['questions']:,} questions about {counts['images']:,}"
        f" {'pairs' if one['task'] in ('correspondence', 'pose') else 'images'}"
        f" of {one['dataset']} {one['split']}" + (f", {judged_by}" if judged_by else "")
    )
