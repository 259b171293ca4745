"""Any depth set in DepthLM's format: JSONL files with the images they name beside them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import tensorflow_datasets as tfds

from tfds_builders import base, checks, schema
from tfds_builders.depthlm_jsonl.jsonl import parse, places
from tfds_builders.items import Item
from vlm3_jax.errors import BadInput


class Builder(base.Builder):
    """Builder of depthlm_jsonl."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar = {"1.0.0": "First release."}
    HOMEPAGE = "https://github.com/facebookresearch/DepthLM_Official"
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Give a folder with *.jsonl files and the images they name. A file named *train* becomes "
        "part of the split train, *val* of validation, any other of test."
    )

    def features(self) -> dict[str, Any]:
        """Depth records."""
        return schema.depth_features()

    def items(self, raw: Path) -> dict[str, list[Item]]:
        """One a line."""
        splits = split_files(raw)
        if not splits:
            raise BadInput(f"{raw} holds no *.jsonl file; give the folder that does.")
        return {
            split: [item for file in files for item in _lines(file)]
            for split, files in splits.items()
        }

    def examples(self, raw: Path, item: Item) -> Iterator[dict[str, Any]]:
        """The line's image and labels."""
        file_name, place, is_repeated = item.data
        line = parse(raw / file_name, place)
        path = checks.inside(raw, line.image, line.where)
        suffix = f"-line{place.number}" if is_repeated else ""
        yield {
            "image": checks.read_image(path, f"{line.where}: {path}", line.camera),
            "intrinsics": line.camera.to_array(),
            "c2w": schema.NO_POSE,
            "points_xy": line.points_xy,
            "depth_m": line.depth_m,
            "label_kind": line.label_kind,
            "scale_type": "metric",
            "dataset": Path(file_name).stem,
            "scene": Path(line.image).parent.name,
            "frame": Path(line.image).stem + suffix,
        }


def split_files(folder: Path) -> dict[str, list[Path]]:
    """Assigns the JSONL files of a folder to splits by their names."""
    splits: dict[str, list[Path]] = {}
    for file in sorted(folder.glob("*.jsonl")):
        is_train, is_validation = "train" in file.stem, "val" in file.stem
        split = "train" if is_train else "validation" if is_validation else "test"
        splits.setdefault(split, []).append(file)
    return splits


def _lines(file: Path) -> list[Item]:
    """The lines of a file, and which of them name an image that an earlier one names."""
    items, frames = [], set()
    for place in places(file):
        frame = (Path(place.image).parent.name, Path(place.image).stem)
        key = f"{file.name}/{place.number}"
        items.append(Item(key, (file.name, place, frame in frames)))
        frames.add(frame)
    if not items:
        raise BadInput(f"{file} is empty; fill or remove it.")
    return items
