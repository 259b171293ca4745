"""What an evaluation leaves behind: `results.json` and `predictions.jsonl`."""

import dataclasses
from pathlib import Path
from typing import Any

from vlm3_jax import config as configs
from vlm3_jax.errors import BadInput
from vlm3_jax.evaluation.benchmark import Prediction
from vlm3_jax.evaluation.config import EvalConfig
from vlm3_jax.files import check_folder, json_bytes, json_lines, write_whole
from vlm3_jax.tasks import depth
from vlm3_jax.tasks.averages import mean

RESULTS = "results.json"
PREDICTIONS = "predictions.jsonl"


def check_workdir(workdir: str | Path) -> None:
    """Raises BadInput where the folder cannot be written to, or holds results already."""
    folder = check_folder(workdir, "--workdir")
    if (folder / RESULTS).exists():
        raise BadInput(
            f"--workdir={folder} holds results already: name another folder, or remove its"
            f" {RESULTS}."
        )


def summarize(
    predictions: list[Prediction],
    config: EvalConfig,
    *,
    num_views: int,
    checkpoint: str,
    dtype: str,
    device: str,
) -> dict[str, Any]:
    """The content of `results.json`.

    `best_constant` is the one answer that is right most often on these very questions: no model
    that always says the same can beat it.
    """
    truths = [prediction.truth for prediction in predictions]
    score = depth.score([prediction.parsed for prediction in predictions], truths)
    asked_views = len({prediction.image for prediction in predictions})
    constant, constant_delta1 = depth.best_constant(truths)
    metrics = {"delta1": score.delta1, "delta1_parsed_only": score.delta1_parsed_only}
    return {
        "task": "depth",
        "metrics": metrics | _certainty(predictions),
        "counts": {
            "images": num_views,
            "images_without_points": num_views - asked_views,
            "questions": score.num_questions,
            "unparsed": score.num_unparsed,
            "nonpositive": score.num_nonpositive,
            "unfinished": sum(not prediction.finished for prediction in predictions),
        },
        "best_constant": {"metres": constant, "delta1": constant_delta1},
        "swap_images": config.swap_images,
        "checkpoint": checkpoint,
        "dtype": dtype,
        "device": device,
        "config": configs.to_dict(config),
    }


def _certainty(predictions: list[Prediction]) -> dict[str, float]:
    """How good the likeliest values would have been, and how far confidences can be believed."""
    pairs = [(one.certainty, one.truth) for one in predictions if one.certainty is not None]
    if not pairs:
        return {}
    ranges = [(one.low, truth, one.high) for one, truth in pairs if one.low is not None]
    return {
        "delta1_likely": mean([depth.is_correct(one.likely, truth) for one, truth in pairs]),
        "mean_confidence": mean([one.confidence for one, _ in pairs]),
        "mean_unexplained": mean([one.unexplained for one, _ in pairs]),
        "ranges": len(ranges) / len(pairs),
        "truth_in_range": mean([low <= truth <= high for low, truth, high in ranges]),
    }


def _line(prediction: Prediction) -> dict[str, Any]:
    line = dataclasses.asdict(dataclasses.replace(prediction, certainty=None))
    del line["certainty"]
    certainty = prediction.certainty
    return line | ({} if certainty is None else depth.certainty_record(certainty))


def write(workdir: str | Path, results: dict[str, Any], predictions: list[Prediction]) -> None:
    """Writes both files; where `results.json` is, the predictions are whole too."""
    folder = Path(workdir)
    write_whole(folder / PREDICTIONS, json_lines(map(_line, predictions)))
    write_whole(folder / RESULTS, json_bytes(results))


def table(results: dict[str, Any]) -> str:
    """The results for a reader."""
    metrics, counts, dataset = results["metrics"], results["counts"], results["config"]["dataset"]
    parsed_only = metrics["delta1_parsed_only"]
    swapped = ", images swapped" if results["swap_images"] else ""
    rows = [
        ("delta1", f"{metrics['delta1']:.4f}", "all questions; no usable number is wrong"),
        ("delta1", "-" if parsed_only is None else f"{parsed_only:.4f}", "usable numbers only"),
        ("delta1", f"{results['best_constant']['delta1']:.4f}", "best constant of these questions"),
        *_certainty_rows(metrics),
        ("unparsed", counts["unparsed"], "answers without a number"),
        ("nonpositive", counts["nonpositive"], "answers of zero or less"),
        ("unfinished", counts["unfinished"], "answers cut at max_new_tokens"),
    ]
    title = (
        f"{dataset['name']} {dataset['split']}: {counts['questions']} questions,"
        f" {counts['images']} images{swapped}"
    )
    return "\n".join([title, *(f"  {name:<12} {value:>8}  {what}" for name, value, what in rows)])


def _certainty_rows(metrics: dict[str, Any]) -> list[tuple[str, str, str]]:
    if "delta1_likely" not in metrics:
        return []
    in_range = metrics["truth_in_range"]
    return [
        ("delta1", f"{metrics['delta1_likely']:.4f}", "value of most probability within 1.25"),
        ("confidence", f"{metrics['mean_confidence']:.4f}", "probability of that, on average"),
        ("in range", "-" if in_range is None else f"{in_range:.4f}", "truths in the 80% range"),
        ("unexplained", f"{metrics['mean_unexplained']:.4f}", "probability of no known value"),
    ]
