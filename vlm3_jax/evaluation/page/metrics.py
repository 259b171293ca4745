"""Metrics of a benchmark as a reader wants them: named, with their unit, beside their bounds."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from markupsafe import Markup

from vlm3_jax.page import document as doc
from vlm3_jax.page.charts import number


class Kind(NamedTuple):
    """How a metric is written."""

    label: str
    unit: str
    """'%' for a share that is written in percent; '' for a plain number."""


_PER_MILLE = " of 1000"
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
    "epe_mean": Kind("end-point error, mean", _PER_MILLE),
    "epe_median": Kind("end-point error, median", _PER_MILLE),
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
    text = f"{value:.3f}" if not unit and abs(value) < 10 else number(value)
    return text + (unit if with_unit else "")


# Of the main metrics, those of which less is better.
_ERRORS = ("abs_rel", "rmse", "epe_", "rotation_error", "direction_error")


def warnings(benchmark: Mapping[str, Any]) -> list[Markup]:
    """Which main metrics an answer that is always the same would reach."""
    metrics, constant = benchmark["metrics"], benchmark["best_constant"]
    texts = []
    for name in _MAIN[benchmark["task"]]:
        value, reached = metrics.get(name), constant.get(name)
        if value is None or reached is None:
            continue
        if value >= reached if name.startswith(_ERRORS) else value <= reached:
            label = kind(name).label
            texts.append(
                f"{label}: no better than always the same answer, {figure(name, reached)}."
            )
    return [doc.notes(texts)] if texts else []


def headline(benchmark: Mapping[str, Any]) -> Markup:
    """The few figures that say most, large."""
    metrics, intervals = benchmark["metrics"], benchmark["intervals"]
    shown = {}
    for name in _MAIN[benchmark["task"]]:
        if name in metrics:
            ends = _interval(name, intervals.get(name))
            text = Markup("{} <small>{}</small>").format(figure(name, metrics[name]), ends)
            shown[kind(name).label] = text
    return doc.facts(shown)


def table(benchmark: Mapping[str, Any]) -> Markup:
    """All metrics with intervals, the best constant answer and the format ceiling."""
    metrics, intervals = benchmark["metrics"], benchmark["intervals"]
    constant, ceiling = benchmark["best_constant"], benchmark["format_ceiling"]
    rows = [
        [
            kind(name).label,
            Markup("<strong>{}</strong>").format(figure(name, value)),
            _interval(name, intervals.get(name)) or "-",
            figure(name, constant.get(name)),
            figure(name, ceiling.get(name)),
        ]
        for name, value in metrics.items()
    ]
    head = ["Metric", "This checkpoint", "95% interval", "Best constant", "Format ceiling"]
    return doc.table(
        head, rows, "Format ceiling: what right answers score after being put in words."
    )


def counts(benchmark: Mapping[str, Any]) -> Markup:
    """How much was asked, and what could not be used."""
    rows = [[name.replace("_", " "), f"{n:,}"] for name, n in benchmark["counts"].items()]
    return doc.table(["Count", ""], rows, "")


def _interval(name: str, ends: Any) -> str:
    if ends is None:
        return ""
    low, high = (figure(name, end, with_unit=False) for end in ends)
    return f"{low} to {high}"
