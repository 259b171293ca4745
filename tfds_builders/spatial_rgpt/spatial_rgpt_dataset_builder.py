"""Questions about regions of images: SpatialRGPT-Bench and SpatialRGPT's training set."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import tensorflow_datasets as tfds
from PIL import Image

from tfds_builders import base, checks, schema
from tfds_builders.items import Item
from tfds_builders.spatial_rgpt.conversations import boxes, check_regions, count_through, turns
from tfds_builders.spatial_rgpt.json_rows import read_row, rows
from vlm3_jax.errors import BadInput

_FILES = {"bench": "SpatialRGPT-Bench_v1.json", "open_spatial": "result_10_depth_convs.json"}


class Builder(base.Builder):
    """Builder of spatial_rgpt."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar = {"1.0.0": "First release."}
    HOMEPAGE = "https://github.com/AnjieCheng/SpatialRGPT"
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        f"Give a folder with {_FILES['bench']} (bench) or {_FILES['open_spatial']} (open_spatial)"
        " and the folder images/ beside it."
    )
    BUILDER_CONFIGS: ClassVar = [
        tfds.core.BuilderConfig(name="bench", description="SpatialRGPT-Bench, split test."),
        tfds.core.BuilderConfig(
            name="open_spatial", description="OpenSpatialDataset, SpatialRGPT's training set."
        ),
    ]

    def features(self) -> dict[str, Any]:
        """Region records."""
        return schema.region_features()

    def items(self, raw: Path) -> dict[str, list[Item]]:
        """One a row."""
        path = checks.needed(raw, _FILES[self.builder_config.name], builder="spatial_rgpt")
        checks.needed(raw, "images", builder="spatial_rgpt")
        if self.builder_config.name == "bench":
            return {
                "test": [
                    Item(str(row.get("id", f"row {place.number}")), place)
                    for place, row in rows(path)
                ]
            }
        items, names = [], set()
        for place, row in rows(path):
            name = str(row.get("filename"))
            items.append(Item(f"{place.number:07d}", (place, name in names)))
            names.add(name)
        return {"train": items}

    def examples(self, raw: Path, item: Item) -> Iterator[dict[str, Any]]:
        """The row's questions."""
        is_bench = self.builder_config.name == "bench"
        yield (_bench if is_bench else _open_spatial)(raw, item)


def _bench(raw: Path, item: Item) -> dict[str, Any]:
    row = read_row(raw / _FILES["bench"], item.data)
    _text(row, "id", item.key)
    info, about = _object(row, "image_info", item.key), _object(row, "qa_info", item.key)
    path = checks.inside(raw / "images", info.get("file_path"), item.key)
    image, size = _image(path)
    if size != (info.get("width"), info.get("height")):
        raise BadInput(
            f"{item.key}: {path} is {size[0]}x{size[1]}, but image_info tells"
            f" {info.get('width')}x{info.get('height')}; fetch it anew."
        )
    questions, answers = turns(row, item.key)
    found = boxes(row, *size, item.key)
    check_regions(questions + answers, len(found), item.key)
    return {
        "image": image,
        "intrinsics": schema.NO_INTRINSICS,
        "boxes_xyxy": found,
        "questions": questions,
        "answers": answers,
        "qa_types": [str(about.get("type", ""))] * len(questions),
        "categories": [str(about.get("category", ""))] * len(questions),
        "scale_type": "metric",
        "dataset": "spatial_rgpt_bench",
        "scene": path.stem,
        "frame": item.key,
    }


def _open_spatial(raw: Path, item: Item) -> dict[str, Any]:
    place, is_repeated = item.data
    row = read_row(raw / _FILES["open_spatial"], place)
    name = f"row {place.number}"
    file = _text(row, "filename", name)
    name = f"{name} ({file})"
    path = checks.inside(raw / "images", f"{file}.jpg", name)
    image, size = _image(path)
    questions, answers = turns(row, name)
    questions, answers, found = count_through(questions, answers, boxes(row, *size, name), name)
    return {
        "image": image,
        "intrinsics": schema.NO_INTRINSICS,
        "boxes_xyxy": found,
        "questions": questions,
        "answers": answers,
        "qa_types": [""] * len(questions),
        "categories": [""] * len(questions),
        "scale_type": "estimated_metric",
        "dataset": "open_spatial",
        "scene": file,
        "frame": f"{place.number}" if is_repeated else "0",
    }


def _text(row: dict[str, Any], key: str, name: str) -> str:
    if not isinstance(row.get(key), str):
        raise BadInput(f"{name} has no {key}; fetch the file anew.")
    return row[key]


def _object(row: dict[str, Any], key: str, name: str) -> dict[str, Any]:
    if not isinstance(row.get(key), dict):
        raise BadInput(f"{name} has no {key}; fetch the file anew.")
    return row[key]


def _image(path: Path) -> tuple[bytes, tuple[int, int]]:
    data = checks.read_image(path, str(path))
    with Image.open(io.BytesIO(data)) as image:
        return data, image.size
