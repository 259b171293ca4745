"""Random access to what `tfds_builders.build` wrote."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, SupportsIndex

import tensorflow_datasets as tfds
from tensorflow_datasets.core.utils.version import list_all_versions

from vlm3_jax.data.records import DepthRecord
from vlm3_jax.errors import BadInput


@dataclass(frozen=True)
class DepthSource:
    """The depth records of one split; picklable, so that worker processes can read too."""

    features: Any
    """TFDS's data source of the features, images not decoded."""

    def __len__(self) -> int:
        return len(self.features)

    def __iter__(self) -> Iterator[DepthRecord]:
        return map(self.__getitem__, range(len(self)))

    def __getitem__(self, index: SupportsIndex) -> DepthRecord:
        return DepthRecord.from_features(self.features[index])


def open_source(data_dir: str | Path, name: str, split: str) -> DepthSource:
    """Opens a split of the newest version of a dataset of depth records.

    Args:
        data_dir: the folder that datasets were built into.
        name: of the dataset, with its TFDS config if it has any: `synthetic_rooms/views`.
        split: `train`, `validation` or `test`, or a part of one in TFDS's notation: `train[:10%]`.

    Raises:
        BadInput: the dataset or the split is missing or empty, or it holds other records.
    """
    folder = Path(data_dir) / name
    versions = list_all_versions(folder)
    if not versions:
        raise BadInput(f"{folder} holds no built dataset: {_remedy(folder, name)}.")
    builder = tfds.builder_from_directory(folder / str(versions[-1]))
    missing = set(DepthRecord.FEATURES) - set(builder.info.features)
    if missing:
        raise BadInput(
            f"{name} in {data_dir} has no depth records, for it lacks {', '.join(sorted(missing))}:"
            " name another dataset."
        )
    try:
        features = builder.as_data_source(split, decoders={"image": tfds.decode.SkipDecoding()})
    except ValueError as error:
        sizes = [f"{key} ({info.num_examples})" for key, info in builder.info.splits.items()]
        raise BadInput(
            f"{name} in {data_dir} has no records in split {split!r}:"
            f" its splits are {', '.join(sizes) or 'none'}."
        ) from error
    return DepthSource(features)


def _remedy(folder: Path, name: str) -> str:
    configs = [path.name for path in sorted(folder.glob("*/")) if list_all_versions(path)]
    if configs:
        return f"name one of its configs, {' or '.join(f'{name}/{config}' for config in configs)}"
    return (
        f"run `python -m tfds_builders.build {name} --data_dir={folder.parents[name.count('/')]}`"
    )
