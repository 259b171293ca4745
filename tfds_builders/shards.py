"""How one shard of a plan is written, in whatever process."""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from etils import epath
from tensorflow_datasets.core.example_serializer import ExampleSerializer
from tensorflow_datasets.core.utils.lazy_imports_utils import array_record_module

from tfds_builders import places
from tfds_builders.base import Builder
from tfds_builders.items import Bad, attempt_all
from tfds_builders.plan import Shard

Watch = Callable[[int, int], bool]
"""Is told now and then how many records are written and how many bad; whether to go on."""


@dataclass(frozen=True)
class Written:
    """What became of a shard; kept beside the data as the proof that it is finished."""

    name: str
    records: int
    num_bytes: int
    bad: tuple[Bad, ...]
    finished: bool = True

    def to_json(self) -> bytes:
        """Encodes it."""
        return json.dumps(asdict(self), ensure_ascii=False).encode()

    @classmethod
    def from_json(cls, data: bytes) -> "Written":
        """Inverse of `to_json`."""
        values = json.loads(data)
        return cls(**values | {"bad": tuple(Bad(**bad) for bad in values["bad"])})

    @property
    def num_bad(self) -> int:
        """Records that are lost."""
        return sum(bad.records for bad in self.bad)


class Tally(Protocol):
    """Counts the records of all workers, and tells a worker when to stop."""

    def add(self, records: int = 0, bad: int = 0) -> None:
        """Counts records that are written and such that are bad."""

    def stopped(self) -> bool:
        """Whether to leave the rest."""


@dataclass(frozen=True)
class Job:
    """What a worker needs to know beside the shard.

    Attributes:
        builder: whose `data_dir` the shards go to.
        raw: the raw data.
        proofs: folder of the `Written` of finished shards.
        tally: of all workers.
    """

    builder: Builder
    raw: Path | None
    proofs: epath.Path
    tally: Tally

    def proof(self, shard: str) -> epath.Path:
        """The file that is there when a shard is finished."""
        return self.proofs / f"{shard}.json"


def read_proofs(proofs: epath.Path) -> dict[str, Written]:
    """The finished shards by name."""
    found = [Written.from_json(path.read_bytes()) for path in proofs.glob("*.json")]
    return {written.name: written for written in found}


def write_shard(job: Job, shard: Shard) -> Written:
    """Writes one shard; its file appears when it is whole, then its proof."""
    path = epath.Path(job.builder.data_dir) / file_name(job.builder, shard)
    with places.whole_file(path) as file:
        written = _write_records(job, shard, file)
        if not written.finished:
            file.unlink()
            return written
    with places.whole_file(job.proof(shard.name)) as file:
        file.write_bytes(written.to_json())
    return written


def _write_records(job: Job, shard: Shard, file: Path) -> Written:
    """Writes the records of a shard until it is done, or all shall stop."""
    features = job.builder.info.features
    serializer = ExampleSerializer(features.get_serialized_info())
    records, num_bytes, bad = 0, 0, []
    writer = array_record_module.ArrayRecordWriter(os.fspath(file), "group_size:1")
    try:
        for outcome in _outcomes(job, shard):
            if job.tally.stopped():
                break
            if isinstance(outcome, Bad):
                bad.append(outcome)
                job.tally.add(bad=outcome.records)
            else:
                data = _encode(outcome | {"split": shard.split}, features, serializer)
                writer.write(data)
                records, num_bytes = records + 1, num_bytes + len(data)
                job.tally.add(records=1)
        else:
            return Written(shard.name, records, num_bytes, tuple(bad))
    finally:
        writer.close()
    return Written(shard.name, records, num_bytes, tuple(bad), finished=False)


def _encode(example: dict[str, Any], features: Any, serializer: ExampleSerializer) -> bytes:
    try:
        encoded = features.encode_example(example)
    except Exception as error:
        error.add_note(f"The record was {_id(example)!r}.")
        raise
    # Without `deterministic` the order of the fields may differ between processes.
    return serializer.get_tf_example(encoded).SerializeToString(deterministic=True)


def _id(example: dict[str, Any]) -> str:
    return "/".join(example[part] for part in ("dataset", "scene", "frame"))


def _outcomes(job: Job, shard: Shard) -> Iterator[dict[str, Any] | Bad]:
    """What the items give; of records with the same id the first one counts."""
    ids = set()
    for item in shard.items:
        for outcome in attempt_all(item, partial(job.builder.examples, job.raw)):
            if isinstance(outcome, dict):
                if (name := _id(outcome)) in ids:
                    outcome = Bad(item.key, f"{item.key}: the id {name} comes twice.")
                ids.add(name)
            yield outcome


def file_name(builder: Builder, shard: Shard) -> str:
    """TFDS's name of a shard's file."""
    number = f"{shard.index:05d}-of-{shard.count:05d}"
    return f"{builder.name}-{shard.split}.array_record-{number}"
