"""From a line of `predictions.jsonl` back to what was asked about."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from vlm3_jax.config import parse
from vlm3_jax.data.images import decode
from vlm3_jax.data.records import Record, views
from vlm3_jax.data.sources import Source
from vlm3_jax.errors import BadInput
from vlm3_jax.evaluation.benchmark import open_sources
from vlm3_jax.evaluation.config import EvalConfig


class Lookup:
    """Finds records in the sets of an evaluation."""

    def __init__(self, sources: Mapping[str, Source]):
        """Args: the records of each benchmark."""
        self._sources = sources

    @classmethod
    def of_results(cls, results: Mapping[str, Any]) -> "Lookup":
        """Opens the sets again that the content of `results.json` names.

        Raises:
            BadInput: a set is no longer there.
        """
        return cls(open_sources(parse(EvalConfig, ConfigDict(results["config"]))))

    def record(self, line: Mapping[str, Any]) -> Record:
        """The record that a line is about; its pixels and boxes refer to this record's images.

        Raises:
            BadInput: the set was built anew since, and holds another record there.
        """
        return self._find(line["benchmark"], line["index"], line["image"])

    def images(self, line: Mapping[str, Any]) -> tuple[np.ndarray, ...]:
        """The images that were shown, one or two, uint8 [H, W, 3] at their original size.

        They are those of `record` unless images were swapped.

        Raises:
            BadInput: see `record`; or one does not decode.
        """
        shown = self._find(line["benchmark"], line["shown_index"], line["shown_image"])
        return tuple(decode(data, shown.key) for data, _ in views(shown))

    def _find(self, benchmark: str, index: int, key: str) -> Record:
        source = self._sources[benchmark]
        record = source[index] if index < len(source) else None
        if record is None or record.key != key:
            raise BadInput(
                f"{benchmark}: record {index} of its set is no longer {key}: evaluate again, for"
                " the set was built anew."
            )
        return record
