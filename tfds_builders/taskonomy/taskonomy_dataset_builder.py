"""Taskonomy: views of scanned buildings with depth and poses, as Omnidata gives them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import tensorflow_datasets as tfds

from tfds_builders import base, schema
from tfds_builders.items import Bad, Item
from tfds_builders.omnidata import Component

COMPONENT = Component("taskonomy", splits="train_val_test_fullplus.csv")


class Builder(base.Builder):
    """Builder of taskonomy."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar = {"1.0.0": "First release."}
    HOMEPAGE = "https://github.com/EPFL-VILAB/omnidata"
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Give the folder that Omnidata's downloader filled, with rgb, depth_euclidean, mask_valid "
        "and point_info, and put train_val_test_fullplus.csv in it."
    )

    def features(self) -> dict[str, Any]:
        """Depth records."""
        return schema.depth_features()

    def items(self, raw: Path) -> dict[str, list[Item | Bad]]:
        """Up to 500 views of a building an item."""
        return COMPONENT.items(raw)

    def examples(self, raw: Path, item: Item) -> Iterator[dict[str, Any] | Bad]:
        """The views with points of their depth maps."""
        return COMPONENT.examples(raw, item)
