"""What an evaluation leaves behind: `results.json` and `predictions.jsonl`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vlm3_jax import config as configs
from vlm3_jax.errors import BadInput
from vlm3_jax.evaluation.benchmark import Prediction
from vlm3_jax.evaluation.config import EvalConfig
from vlm3_jax.evaluation.tasks import JUDGES
from vlm3_jax.files import check_folder, json_bytes, json_lines, write_whole

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


def results(
    config: EvalConfig,
    benchmarks: Mapping[str, dict[str, Any]],
    *,
    checkpoint: str,
    dtype: str,
    device: str,
) -> dict[str, Any]:
    """The content of `results.json`.

    Args:
        config: of the evaluation.
        benchmarks: what `summary.summarize` gives, by name.
        checkpoint: as it was named.
        dtype: that was computed in.
        device: that was computed on.
    """
    return {
        "checkpoint": checkpoint,
        "dtype": dtype,
        "device": device,
        "swap_images": config.swap_images,
        "benchmarks": dict(benchmarks),
        "config": configs.to_dict(config),
    }


def line(name: str, config: EvalConfig, prediction: Prediction) -> dict[str, Any]:
    """A line of `predictions.jsonl`, of the benchmark of this name."""
    judged, task = prediction.judged, config.benchmarks[name].task
    return {
        "benchmark": name,
        "task": task,
        "index": prediction.index,
        "image": judged.image,
        "shown_index": prediction.shown_index,
        "shown_image": prediction.shown_image,
        "prompt": judged.question.prompt,
        "answer": prediction.answer,
        "token_ids": prediction.token_ids,
        "finished": prediction.finished,
        "log_probability": prediction.log_probability,
        "parsed": judged.parsed,
        "score": judged.score,
        "error": judged.error,
        **JUDGES[task].record(judged),
    }


def write(workdir: str | Path, results: dict[str, Any], lines: Sequence[dict[str, Any]]) -> None:
    """Writes both files; where `results.json` is, the predictions are whole too."""
    folder = Path(workdir)
    write_whole(folder / PREDICTIONS, json_lines(lines))
    write_whole(folder / RESULTS, json_bytes(results))


def table(results: dict[str, Any]) -> str:
    """The results for a reader, a part for each benchmark."""
    swapped = ", images swapped" if results["swap_images"] else ""
    return "\n\n".join(
        "\n".join([f"{name}: {_title(part)}{swapped}", *_rows(part)])
        for name, part in results["benchmarks"].items()
    )


def _title(part: dict[str, Any]) -> str:
    counts = part["counts"]
    return (
        f"{part['task']}, {part['dataset']} {part['split']}, {counts['questions']} questions,"
        f" {counts['images']} images, {counts['unparsed']} unparsed,"
        f" {counts['unfinished']} unfinished"
    )


def _rows(part: dict[str, Any]) -> list[str]:
    columns = ("", "value", "95% interval", "best constant", "format ceiling")
    rows = [columns]
    for metric, value in part["metrics"].items():
        ends = part["intervals"].get(metric)
        shown = "" if ends is None else " to ".join(map(_figure, ends))
        beside = [part[name].get(metric) for name in ("best_constant", "format_ceiling")]
        rows.append((metric, _figure(value), shown, *map(_figure, beside)))
    return [
        f"  {name:<28} {value:>9}  {ends:>20}  {constant:>13}  {ceiling:>14}".rstrip()
        for name, value, ends, constant, ceiling in rows
    ]


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}" if abs(value) < 1000 else f"{value:.3g}"
