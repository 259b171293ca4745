"""Metrics of a benchmark as a reader wants them: named, with their unit, beside their bounds."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from markupsafe import Markup

from vlm3_jax.page import document as doc
from vlm3_jax.page.charts import number


class Kind(NamedTuple):
    """How a metric is written."""

    label: str
    unit: str
    """'%' for a share that is written in percent; '' for a plain number."""


_KINDS = {
    "delta1": Kind("delta1, all questions", ""),
    "delta1_parsed_only": Kind("delta1, usable numbers only", ""),
    "delta1_likely": Kind("delta1, value of most probability within 1.25", ""),
    "mean_confidence": Kind("probability of that value, mean", ""),
    "mean_unexplained": Kind("probability of no known value, mean", ""),
    "ranges": Kind("answers with an 80% range", "%"),
    "truth_in_range": Kind("truths in the 80% range", "%"),
    "abs_rel": Kind("AbsRel", ""),
    "rmse": Kind("RMSE", " m"),
    "epe_mean": Kind("end-point error, mean, 1/1000", ""),
    "epe_median": Kind("end-point error, median, 1/1000", ""),
    "epe_px_mean": Kind("end-point error, mean", " px"),
    "epe_px_median": Kind("end-point error, median", " px"),
    "under_1_px": Kind("under 1 px", "%"),
    "under_3_px": Kind("under 3 px", "%"),
    "under_5_px": Kind("under 5 px", "%"),
    "unparsed": Kind("answers that cannot be read", "%"),
    **{
        f"auc_{limit}{suffix}": Kind(f"AUC@{limit}{what}", "%")
        for suffix, what in (("", ""), ("_signed", ", signed direction"))
        for limit in (5, 10, 30)
    },
    "rotation_error_mean": Kind("rotation error, mean", "°"),
    "rotation_error_median": Kind("rotation error, median", "°"),
    "direction_error_mean": Kind("direction error, mean", "°"),
    "direction_error_median": Kind("direction error, median", "°"),
    "direction_error_signed_mean": Kind("signed direction error, mean", "°"),
    "direction_error_signed_median": Kind("signed direction error, median", "°"),
    "angle_error_mean": Kind("error of the stated angle, mean", "°"),
    "distance_abs_rel": Kind("distance, AbsRel", ""),
    "qualitative_accuracy": Kind("qualitative accuracy", "%"),
    "quantitative_success": Kind("quantitative success", "%"),
    "direction_error_degrees": Kind("direction error, mean", "°"),
}
_BY_CATEGORY = {
    "accuracy_": ("accuracy", "%"),
    "success_": ("success", "%"),
    "abs_rel_": ("AbsRel", ""),
}
_SAME = "same_position_"
_ALWAYS = ("images", "questions", "unparsed", "unfinished")
_MAIN = {
    "depth": ("delta1", "abs_rel", "rmse"),
    "correspondence": ("epe_mean", "epe_median", "under_5_px"),
    "pose": ("auc_30", "rotation_error_median", "direction_error_median"),
    "objects": ("qualitative_accuracy", "quantitative_success", "abs_rel"),
}


def kind(name: str) -> Kind:
    """How a metric of results is written; one that is not known keeps its name."""
    if name in _KINDS:
        return _KINDS[name]
    for prefix, (what, unit) in _BY_CATEGORY.items():
        if name.startswith(prefix):
            return Kind(f"{what}, {name.removeprefix(prefix).replace('_', ' ')}", unit)
    return Kind(name.replace("_", " "), "")


def figure(name: str, value: float | None, with_unit: bool = True) -> str:
    """A metric as text; '-' where there is none."""
    if value is None:
        return "-"
    unit = kind(name).unit
    if unit == "%":
        return f"{100 * value:.1f}" + ("%" if with_unit else "")
    if abs(value) >= 1000:
        text = number(value)
    else:
        text = f"{value:.3f}" if not unit and abs(value) < 10 else f"{value:#.3g}".rstrip(".")
    return text + (unit if with_unit else "")


# Of the main metrics, those of which less is better.
_ERRORS = ("abs_rel", "rmse", "epe_", "rotation_error", "direction_error")
_MANY = 0.01  # Share of answers that cannot be used from which a reader should know.
_WARNED = {"unparsed": "cannot be read", "unfinished": "were cut off before they ended"}


def counts(benchmark: Mapping[str, Any]) -> Markup:
    """How much was asked, and what could not be used.

    Zeros are left out but for the main ones; charts tell how much was asked by category.
    """
    of_pairs = benchmark["task"] in ("correspondence", "pose")
    shown = {
        ("pairs" if of_pairs and name == "images" else name.replace("_", " ")): f"{count:,}"
        for name, count in benchmark["counts"].items()
        if name in _ALWAYS or (count and name != "pairs" and not name.startswith("questions_"))
    }
    return doc.facts(shown)


def warnings(benchmark: Mapping[str, Any]) -> list[Markup]:
    """Main metrics that an answer that is always the same would reach, and unusable answers."""
    metrics, constant = benchmark["metrics"], benchmark["best_constant"]
    texts = []
    for name in _MAIN[benchmark["task"]]:
        value, reached = metrics.get(name), constant.get(name)
        if value is None or reached is None:
            continue
        if value >= reached if name.startswith(_ERRORS) else value <= reached:
            label, text = kind(name).label, figure(name, reached)
            texts.append(f"{label}: no better than one answer to all questions, {text}.")
    shares = {n: benchmark["counts"][n] / benchmark["counts"]["questions"] for n in _WARNED}
    many = [f"{100 * s:.0f}% {_WARNED[n]}" for n, s in shares.items() if s >= _MANY]
    if many:
        texts.append(f"Of the answers {', '.join(many)}.")
    return [doc.notes(texts)] if texts else []


def table(benchmark: Mapping[str, Any]) -> Markup:
    """Metrics with intervals, beside the best constant answer and the format ceiling.

    The main ones are seen at once, the others unfold.
    """
    main = [name for name in _MAIN[benchmark["task"]] if name in benchmark["metrics"]]
    others = [name for name in benchmark["metrics"] if name not in main]
    parts = [_rows(benchmark, main), *_remarks(benchmark)]
    if others:
        parts.append(doc.details(f"More metrics ({len(others)})", [_rows(benchmark, others)]))
    return doc.group(parts)


def _rows(benchmark: Mapping[str, Any], names: Sequence[str]) -> Markup:
    metrics, intervals = benchmark["metrics"], benchmark["intervals"]
    constant, ceiling = benchmark["best_constant"], benchmark["format_ceiling"]
    rows = []
    for name in names:
        ours = Markup("<strong>{}</strong>").format(figure(name, metrics[name]))
        if name in intervals:
            low, high = (figure(name, end, with_unit=False) for end in intervals[name])
            ours += Markup("<small>{} to {}</small>").format(low, high)
        beside = [figure(name, bound.get(name)) for bound in (constant, ceiling)]
        rows.append([kind(name).label, ours, *beside])
    return doc.table(["Metric", "This checkpoint", "Best constant", "Format ceiling"], rows)


def _remarks(benchmark: Mapping[str, Any]) -> list[Markup]:
    """What the bounds mean, and what they are besides metrics."""
    metrics, constant = benchmark["metrics"], benchmark["best_constant"]
    same = {
        kind(name.removeprefix(_SAME)): figure(name.removeprefix(_SAME), value)
        for name, value in constant.items()
        if name.removeprefix(_SAME) in _MAIN[benchmark["task"]] and name.startswith(_SAME)
    }
    answer = {
        name: value
        for name, value in constant.items()
        if not (name in metrics or name.startswith(_SAME) or isinstance(value, Mapping))
    }
    texts = [
        "Small below a figure: its 95% interval. Format ceiling: what the right answers score once"
        " they are put in words and read back."
    ]
    if answer:
        said = ", ".join(
            f"{name.replace('_', ' ')} {_words(value)}"
            for name, value in answer.items()
            if value is not None
        )
        texts.append(f"Best constant, the same answer to all questions: {said}.")
    if same:
        scores = ", ".join(f"{what.label} {value}" for what, value in same.items())
        texts.append(f"The very position that is asked about, as the answer: {scores}.")
    if resolution := benchmark["facts"].get("resolution"):
        texts.append(f"Pixels (px) are those of images of {resolution[0]}x{resolution[1]}.")
    return [doc.footnotes(texts)]


def _words(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return f"({', '.join(map(_words, value))})"
    return number(value) if isinstance(value, (int, float)) else str(value)
