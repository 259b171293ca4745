"""The project's figures beside the published ones, a table a task."""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from vlm3_jax.evaluation.page.published import Column, Table
from vlm3_jax.page import document as doc

_MEAN = "Mean"


def summary(table: Table, benchmarks: Mapping[str, Any], task: str) -> list[Markup]:
    """A table of a task: published rows, what bounds an answer in text, and ours last.

    Benchmarks of ours that nobody published come after the mean.

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
    columns = [*table.columns, *own]
    head = ["", *(column.name for column in table.columns), *([_MEAN] if table.mean else [])]
    rows = [[model, *values, *["-"] * len(own)] for model, values in table.rows]
    for label, key in (
        ("Best constant answer", "best_constant"),
        ("Format ceiling", "format_ceiling"),
    ):
        rows.append([label, *_row(table, columns, {name: one[key] for name, one in ours.items()})])
    values = {name: one["metrics"] for name, one in ours.items()}
    intervals = {name: one["intervals"] for name, one in ours.items()}
    rows.append(
        [Markup("<strong>This checkpoint</strong>"), *_row(table, columns, values, intervals)]
    )
    caption = f"{table.title}. Published figures: {table.source}."
    asked = "; ".join(_asked(name, one) for name, one in ours.items())
    notes = [table.comparable, f"Asked here: {asked}."]
    return [
        doc.table([*head, *(column.name for column in own)], rows, caption),
        doc.part("footnotes", notes),
    ]


def _row(
    table: Table,
    columns: Sequence[Column],
    values: Mapping[str, Mapping[str, float | None]],
    intervals: Mapping[str, Mapping[str, Sequence[float]]] | None = None,
) -> list[Markup | str]:
    """Figures of one kind by column; ours, which have intervals, stand out."""
    figures = [values.get(column.benchmark, {}).get(column.metric) for column in columns]
    cells = []
    for column, figure in zip(columns, figures, strict=True):
        text = column.text(figure)
        if intervals is None:
            cells.append(text)
            continue
        ends = intervals.get(column.benchmark, {}).get(column.metric)
        cells.append(_strong(text, column, ends))
    if table.mean:
        place = len(table.columns)
        published = figures[:place]
        complete = None not in published
        text = table.columns[0].text(sum(published) / place if complete else None)
        cells.insert(place, text if intervals is None else _strong(text, table.columns[0], None))
    return cells


def _strong(text: str, column: Column, ends: Sequence[float] | None) -> Markup | str:
    if text == "-":
        return text
    strong = Markup("<strong>{}</strong>").format(text)
    if ends is None:
        return strong
    low, high = map(column.text, ends)
    return strong + Markup("<br><small>{} to {}</small>").format(low, high)


def _asked(name: str, one: Mapping[str, Any]) -> str:
    counts = one["counts"]
    return (
        f"{name}, {counts['questions']:,} questions about {counts['images']:,}"
        f" {'pairs' if one['task'] in ('correspondence', 'pose') else 'images'}"
        f" of {one['dataset']} {one['split']}"
    )
