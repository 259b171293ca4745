"""Random access to what `tfds_builders.build` wrote."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, SupportsIndex, TypeVar

import tensorflow_datasets as tfds
from etils import epath
from tensorflow_datasets.core.utils.version import list_all_versions

from vlm3_jax.data.records import (
    DepthRecord,
    PairRecord,
    Record,
    RegionRecord,
    check_schema_version,
)
from vlm3_jax.errors import BadInput

R = TypeVar("R", bound=Record)


@dataclass(frozen=True)
class Source(Generic[R]):
    """The records of one split; picklable, so that worker processes can read too."""

    features: Any
    """TFDS's data source of the features, images not decoded."""
    record_type: type[R]

    def __len__(self) -> int:
        return len(self.features)

    def __iter__(self) -> Iterator[R]:
        return map(self.__getitem__, range(len(self)))

    def __getitem__(self, index: SupportsIndex) -> R:
        return self.record_type.from_features(self.features[index])


@dataclass(frozen=True)
class Dataset:
    """The newest version of what was built under a name."""

    name: str
    """With its TFDS config if it has any: `synthetic_rooms/views`."""
    version: str
    record_type: type[Record]
    splits: dict[str, int]
    """Number of records of each."""


def find_dataset(data_dir: str | Path, name: str) -> Dataset:
    """Tells what a built dataset holds.

    Args:
        data_dir: the folder that datasets were built into.
        name: of the dataset, with its TFDS config if it has any.

    Raises:
        BadInput: there is none, or its records are of no kind or schema version that is known.
    """
    builder = _builder(data_dir, name)
    for record_type in (DepthRecord, PairRecord, RegionRecord):
        if set(record_type.FEATURES) <= set(builder.info.features):
            splits = {split: info.num_examples for split, info in builder.info.splits.items()}
            return Dataset(name, str(builder.version), record_type, splits)
    raise BadInput(
        f"{name} in {data_dir} has records of no known kind, their features are"
        f" {', '.join(sorted(builder.info.features))}: name another dataset."
    )


def open_source(
    data_dir: str | Path, name: str, split: str, record_type: type[R] = DepthRecord
) -> Source[R]:
    """Opens a split of the newest version of a dataset.

    Args:
        data_dir: the folder that datasets were built into; a local one, or in gs://.
        name: of the dataset, with its TFDS config if it has any: `synthetic_rooms/views`.
        split: `train`, `validation` or `test`, or a part of one in TFDS's notation: `train[:10%]`.
        record_type: what it holds.

    Raises:
        BadInput: the dataset or the split is missing or empty, or it holds other records, or such
            of another version of the schema.
    """
    builder = _builder(data_dir, name)
    missing = set(record_type.FEATURES) - set(builder.info.features)
    if missing:
        raise BadInput(
            f"{name} in {data_dir} has no {record_type.KIND} records, for it lacks"
            f" {', '.join(sorted(missing))}: name another dataset."
        )
    undecoded = {image: tfds.decode.SkipDecoding() for image in record_type.IMAGES}
    try:
        features = builder.as_data_source(split, decoders=undecoded)
    except ValueError as error:
        sizes = [f"{key} ({info.num_examples})" for key, info in builder.info.splits.items()]
        raise BadInput(
            f"{name} in {data_dir} has no records in split {split!r}:"
            f" its splits are {', '.join(sizes) or 'none'}."
        ) from error
    return Source(features, record_type)


def _builder(data_dir: str | Path, name: str) -> Any:
    """TFDS's builder of the newest version, which can be read."""
    folder = _folder(data_dir) / name
    versions = list_all_versions(folder)
    if not versions:
        raise BadInput(f"{folder} holds no built dataset: {_remedy(folder, name)}.")
    builder = tfds.builder_from_directory(folder / str(versions[-1]))
    if version := _schema_version(builder.info):
        check_schema_version(version, f"{name} in {data_dir}")
    return builder


def _folder(data_dir: str | Path) -> epath.Path:
    scheme, is_url, _ = os.fspath(data_dir).partition("://")
    # Of other stores array_record makes files without records, and says nothing.
    if is_url and scheme != "gs":
        raise BadInput(
            f"{data_dir}: array_record files can be read from folders and gs:// only; copy the"
            " datasets to a folder, or mount them as one."
        )
    try:
        folder = epath.Path(data_dir)
        folder.exists()
    except ImportError as error:
        raise BadInput(f"{data_dir} needs a library ({error}); pip install it.") from error
    return folder


def _schema_version(info: Any) -> str | None:
    """What TFDS's dataset info tells.

    None for sets of before the schema, whose depth records have the same fields.
    """
    try:
        return info.metadata["schema_version"]
    except KeyError:
        return None


def _remedy(folder: epath.Path, name: str) -> str:
    configs = [path.name for path in sorted(folder.glob("*/")) if list_all_versions(path)]
    if configs:
        return f"name one of its configs, {' or '.join(f'{name}/{config}' for config in configs)}"
    return (
        f"run `python -m tfds_builders.build {name} --data_dir={folder.parents[name.count('/')]}`"
    )
