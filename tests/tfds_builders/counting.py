"""A builder of numbered records whose items are slow, bad or missing when a test says so."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from tfds_builders import base, schema
from tfds_builders.items import Bad, Item, attempt
from vlm3_jax.errors import BadInput


class Counting(base.Builder):
    """Two splits of items with `per_item` records each, as the file counting.json says."""

    VERSION = tfds.core.Version("1.0.0")
    RECORDS_PER_SHARD = 6

    def features(self) -> dict[str, Any]:
        return schema.depth_features() | {"number": tfds.features.Scalar(dtype=np.int32)}

    def items(self, raw: Path) -> dict[str, list[Item | Bad]]:
        config = json.loads((raw / "counting.json").read_text())
        ranges = {"train": range(config["train"]), "test": range(1000, 1000 + config["test"])}
        splits = {
            split: [Item(f"item{i}", i, config["per_item"]) for i in numbers]
            for split, numbers in ranges.items()
        }
        splits["train"] += [Item(key) for key in config.get("again", [])]
        splits["train"] += [Bad(key, f"{key} is unlisted.") for key in config.get("unlisted", [])]
        return splits

    def examples(self, raw: Path, item: Item) -> Iterator[dict[str, Any] | Bad]:
        config = json.loads((raw / "counting.json").read_text())
        with (raw / "made.txt").open("a") as file:
            file.write(f"{item.data} {os.getpid()}\n")
        if item.data in config.get("broken", []):
            raise RuntimeError("a defect")
        for number in range(config["per_item"]):
            time.sleep(config.get("seconds", 0))
            if [item.data, number] in config.get("lost", []):
                raise BadInput(f"item{item.data} breaks off at {number}.")
            key = f"item{item.data}/{number}"
            yield attempt(key, _record, config, item.data, number)


def _record(config: dict, item: int, number: int) -> dict[str, Any]:
    if [item, number] in config.get("bad", []):
        raise BadInput(f"item{item}/{number} is bad.")
    if [item, number] in config.get("gone", []):
        Path(f"/gone{item}").read_bytes()
    return {
        "image": np.random.default_rng([item, number]).bytes(5000),
        "intrinsics": np.array([50.0, 50, 24, 24, 64, 48]),
        "c2w": schema.NO_POSE,
        "points_xy": np.array([[item % 60, number]], np.float32),
        "depth_m": np.ones(1, np.float32),
        "label_kind": "z",
        "scale_type": "metric",
        "dataset": "counting",
        "scene": f"item{item}",
        "frame": str(0 if [item, number] in config.get("twins", []) else number),
        "number": item * 100 + number,
    }


def write_raw(folder: Path, **config: Any) -> Path:
    """Writes the raw data: 20 and 4 items of 2 records, or as `config` says."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {"train": 20, "test": 4, "per_item": 2} | config
    (folder / "counting.json").write_text(json.dumps(config))
    return folder


def made(raw: Path) -> list[int]:
    """The items that were worked on since the last call."""
    return [item for item, _ in _made(raw)]


def workers(raw: Path) -> set[int]:
    """The processes that worked on items since the last call."""
    return {process for _, process in _made(raw)}


def _made(raw: Path) -> list[list[int]]:
    file = raw / "made.txt"
    lines = file.read_text().splitlines() if file.exists() else []
    file.unlink(missing_ok=True)
    return [[int(number) for number in line.split()] for line in lines]


def files(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
