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
    return {
        "task": "depth",
        "metrics": {"delta1": score.delta1, "delta1_parsed_only": score.delta1_parsed_only},
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


def write(workdir: str | Path, results: dict[str, Any], predictions: list[Prediction]) -> None:
    """Writes both files; where `results.json` is, the predictions are whole too."""
    folder = Path(workdir)
    lines = [dataclasses.asdict(prediction) for prediction in predictions]
    write_whole(folder / PREDICTIONS, json_lines(lines))
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
        ("unparsed", counts["unparsed"], "answers without a number"),
        ("nonpositive", counts["nonpositive"], "answers of zero or less"),
        ("unfinished", counts["unfinished"], "answers cut at max_new_tokens"),
    ]
    title = (
        f"{dataset['name']} {dataset['split']}: {counts['questions']} questions,"
        f" {counts['images']} images{swapped}"
    )
    return "\n".join([title, *(f"  {name:<12} {value:>8}  {what}" for name, value, what in rows)])
