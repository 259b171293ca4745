"""Any depth set in DepthLM's format: JSONL files with the images they name beside them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import tensorflow_datasets as tfds

from tfds_builders import base
from tfds_builders.depthlm_jsonl.jsonl import Line, read
from vlm3_jax.data.images import decode
from vlm3_jax.errors import BadInput


class Builder(base.Builder):
    """Builder of depthlm_jsonl."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar = {"1.0.0": "First release."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Give a folder with *.jsonl files and the images they name. A file named *train* becomes "
        "part of the split train, *val* of validation, any other of test."
    )

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description=__doc__,
            homepage="https://github.com/facebookresearch/DepthLM_Official",
            features=tfds.features.FeaturesDict(base.depth_features()),
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator]:
        folder = Path(dl_manager.manual_dir)
        splits = split_files(folder)
        if not splits:
            raise BadInput(f"{folder} holds no *.jsonl file; give the folder that does.")
        return {split: self._generate_examples(files) for split, files in splits.items()}

    def _generate_examples(self, files: list[Path]) -> Iterator[tuple[str, dict[str, Any]]]:
        for file in files:
            frames = set()
            for line in read(file):
                example = _example(file, line)
                if (name := (example["scene"], example["frame"])) in frames:
                    example["frame"] += f"-line{line.number}"
                frames.add(name)
                yield f"{file.name}/{line.number}", example
            if not frames:
                raise BadInput(f"{file} is empty; fill or remove it.")


def split_files(folder: Path) -> dict[str, list[Path]]:
    """Assigns the JSONL files of a folder to splits by their names."""
    splits: dict[str, list[Path]] = {}
    for file in sorted(folder.glob("*.jsonl")):
        is_train, is_validation = "train" in file.stem, "val" in file.stem
        split = "train" if is_train else "validation" if is_validation else "test"
        splits.setdefault(split, []).append(file)
    return splits


def _example(file: Path, line: Line) -> dict[str, Any]:
    path = file.parent / line.image
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadInput(
            f"{line.where}: the image {path} cannot be read ({error.strerror}); "
            "put it there or correct the line."
        ) from error
    height, width = decode(data, f"{line.where}: {path}").shape[:2]
    if (width, height) != (line.camera.width, line.camera.height):
        raise BadInput(
            f"{line.where}: {path} is {width}x{height}, but its intrinsics are of a "
            f"{line.camera.width}x{line.camera.height} image; correct them or resize it."
        )
    return {
        "image": data,
        "intrinsics": line.camera.to_array(),
        "points_xy": line.points_xy,
        "depth_m": line.depth_m,
        "label_kind": line.label_kind,
        "dataset": file.stem,
        "scene": Path(line.image).parent.name,
        "frame": Path(line.image).stem,
    }
