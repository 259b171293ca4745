"""The best and the worst samples of a benchmark, drawn, and the answers that cannot be read."""

from collections.abc import Callable, Sequence
from types import ModuleType

from markupsafe import Markup

from vlm3_jax.data.records import Record
from vlm3_jax.evaluation.page.grouping import Line
from vlm3_jax.page import document as doc

MOST_FAILURES = 20
_MOST_ROWS = 5  # Of a card's table that is not folded away.


def chosen(groups: Sequence[list[Line]], each: int) -> list[tuple[str, list[Line]]]:
    """So many of the best and of the worst of ordered samples, none twice, with what they are."""
    best = min(each, (len(groups) + 1) // 2)
    worst = min(each, len(groups) - best)
    return [
        *((f"Best {place}", group) for place, group in enumerate(groups[:best], start=1)),
        *(
            (f"Worst {place}", group)
            for place, group in enumerate(groups[: -worst - 1 : -1] if worst else [], start=1)
        ),
    ]


def cards(
    task: ModuleType, picked: Sequence[tuple[str, list[Line]]], record_of: Callable[[Line], Record]
) -> Markup:
    """Samples on their images, with what was said and what is true."""
    parts = [_card(task, title, group, record_of) for title, group in picked]
    return (doc.cards if task.PAIRS else doc.gallery)(parts)


def failures(lines: Sequence[Line]) -> list[Markup]:
    """The texts of answers that cannot be read; of many the first, and how many more there are."""
    unread = [line for line in lines if is_unread(line)]
    if not unread:
        return []
    shown = [
        part for line in unread[:MOST_FAILURES] for part in (doc.key(line["image"]), _words(line))
    ]
    left = len(unread) - MOST_FAILURES
    if left > 0:
        shown.append(doc.key(f"{left:,} more are in predictions.jsonl."))
    title = f"Answers that cannot be read: {len(unread):,} of {len(lines):,}"
    return [doc.details(title, shown)]


def is_unread(line: Line) -> bool:
    """Whether an answer cannot be read; one that nobody tried to read is none."""
    return line["parsed"] is None and line.get("category") != ""


def _card(
    task: ModuleType, title: str, group: list[Line], record_of: Callable[[Line], Record]
) -> Markup:
    key = group[0]["image"]
    alt = f"{title}: {key} with the answers drawn"
    words = [_words(line) for line in group]
    # A sample of one question has room for its words.
    below = (
        words if len(group) == 1 else [doc.details("Questions and answers, word by word", words)]
    )
    head, rows = task.answers(group)
    pictures = [doc.picture(one, alt) for one in task.pictures(record_of(group[0]), group)]
    said = doc.table(head, rows)
    if len(rows) > _MOST_ROWS:
        said = doc.details("Said and true", [said])
    return doc.card(
        f"{title}: {task.gist(group)}", [doc.side_by_side(pictures), doc.key(key), said, *below]
    )


def _words(line: Line) -> Markup:
    remark = "" if line["finished"] else "cut off at the longest that is allowed"
    return doc.dialogue(line["prompt"], line["answer"], remark)
