"""What the quickstart made: three scores against two baselines, and one picture.

python -m launch.quickstart_report --dir=runs/quickstart
"""

import json
from pathlib import Path

import numpy as np
from absl import flags
from PIL import Image

from configs import quickstart
from vlm3_jax import cli
from vlm3_jax.data.images import decode
from vlm3_jax.data.sources import open_source
from vlm3_jax.evaluation.picture import draw_points
from vlm3_jax.tasks.depth import best_constant, score

DIR = flags.DEFINE_string("dir", None, "Folder that the quickstart wrote to.", required=True)


def main() -> None:
    """Prints the report and draws the picture."""
    folder = Path(DIR.value)
    (source,) = quickstart.get_config().data.sources.values()
    name = source.name
    train = open_source(folder / "data", name, "train")
    held_out = open_source(folder / "data", name, "validation")

    predictions = _lines(folder / "eval" / "after" / "predictions.jsonl")
    truths = [line["truth"] for line in predictions]
    constant, _ = best_constant(np.concatenate([record.depth_m for record in train]).tolist())
    blind = score([constant] * len(truths), truths).delta1
    scores = {case: _delta1(folder / "eval" / case) for case in ("before", "after", "swapped")}
    picture = _draw(
        folder / "picture.png", predictions, {record.key: record for record in held_out}
    )

    rows = (
        (f"best constant of the training set ({constant:.2f} m)", blind),
        ("the model before training", scores["before"]),
        ("the model after training", scores["after"]),
        ("the same, with images swapped between views", scores["swapped"]),
    )
    print(f"\ndelta1 on {len(truths)} points of {len(held_out)} views of rooms never trained on")
    for what, value in rows:
        print(f"  {what:<46} {value:.3f}   {value / blind:.2f} times the constant")
    for what, path in (
        ("picture (predicted / true metres)", picture),
        ("page about the evaluation", folder / "eval" / "after" / "report.html"),
        ("checkpoint, metrics and TensorBoard curves", folder / "train"),
        ("weights for transformers", folder / "hf"),
    ):
        print(f"{what:<48} {path}")


def _delta1(folder: Path) -> float:
    results = json.loads((folder / "results.json").read_text())
    return results["benchmarks"]["rooms"]["metrics"]["delta1"]


def _draw(path: Path, predictions: list[dict], records: dict) -> Path:
    """Draws the answers on six views spread over the set, whatever they are."""
    by_view: dict[str, list[dict]] = {}
    for line in predictions:
        by_view.setdefault(line["image"], []).append(line)
    keys = list(by_view)[:: -(-len(by_view) // 6)]
    views = []
    for key in keys:
        labels = [f"{_number(line['parsed'])} / {line['truth']:.2f}" for line in by_view[key]]
        points = [line["point_xy"] for line in by_view[key]]
        views.append(np.asarray(draw_points(decode(records[key].image, key), points, labels)))
    rows = [np.concatenate(views[i : i + 3], axis=1) for i in range(0, len(views), 3)]
    Image.fromarray(np.concatenate(rows)).save(path)
    return path


def _number(value: float | None) -> str:
    return "?" if value is None else f"{value:.2f}"


def _lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


if __name__ == "__main__":
    cli.run(main)
