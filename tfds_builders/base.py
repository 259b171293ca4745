"""What all builders share; the README tells how to write one."""

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import tensorflow_datasets as tfds
from tensorflow_datasets.core.dataset_builder import FileReaderBuilder

from tfds_builders.items import Bad, Item
from vlm3_jax.data.records import SCHEMA_VERSION


class Builder(FileReaderBuilder, skip_registration=True):
    """A TFDS builder that lists its work as items and turns each into records by itself.

    Unlike TFDS's `GeneratorBasedBuilder`, whose examples come in one stream, its shards can be
    written one by one, by several processes, and after an interruption.
    """

    HOMEPAGE: ClassVar[str | None] = None
    RECORDS_PER_SHARD: ClassVar[int] = 1000
    """About as many go into a file; also the most work that an interruption costs a worker."""

    def __init__(self, **kwargs: Any):
        # Set here rather than by the caller: TFDS drops it when it pickles a builder, and then
        # falls back to TFRecord, which needs TensorFlow.
        kwargs["file_format"] = "array_record"
        super().__init__(**kwargs)

    @abstractmethod
    def features(self) -> dict[str, Any]:
        """TFDS features of a record: those of `tfds_builders.schema`, and more if need be."""

    @abstractmethod
    def items(self, raw: Path | None) -> dict[str, Iterable[Item | Bad]]:
        """Lists the items of each split, the same ones for the same raw data, quickly.

        Args:
            raw: the folder that `--manual_dir` names; None for a dataset that needs none.

        Raises:
            BadInput: nothing can be built, for example because a file that lists the rest is
                missing. A scene that is unusable is given as `Bad` instead.
        """

    @abstractmethod
    def examples(self, raw: Path | None, item: Item) -> Iterator[dict[str, Any] | Bad]:
        """Yields the records of an item, the same ones in whatever process.

        A record has no `split`, which is that of its item. BadInput and OSError make the rest of
        the item bad; a record that is bad alone is given as `Bad` (see `items.attempt`).
        """

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(  # The README.md of the builder's folder comes first.
            description=type(self).__doc__,
            homepage=self.HOMEPAGE,
            features=tfds.features.FeaturesDict(self.features()),
            metadata=tfds.core.MetadataDict(schema_version=SCHEMA_VERSION),
        )

    def _download_and_prepare(self, dl_manager: Any, download_config: Any = None) -> None:
        raise NotImplementedError("`python -m tfds_builders.build` writes this dataset.")
