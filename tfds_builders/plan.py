"""Divides a builder's items into shards: the same division whoever writes them and when."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from tfds_builders.items import Bad, Item
from vlm3_jax.errors import BadInput


@dataclass(frozen=True)
class Shard:
    """A file of records, written by one worker from its items alone."""

    split: str
    index: int
    count: int
    """Number of shards of the split."""
    items: tuple[Item, ...]

    @property
    def name(self) -> str:
        """Names it within the dataset."""
        return f"{self.split}-{self.index:05d}-of-{self.count:05d}"

    @property
    def records(self) -> int:
        """How many records are expected."""
        return sum(item.records for item in self.items)


@dataclass(frozen=True)
class Plan:
    """All shards of a dataset, split by split, and what was found bad before any was written."""

    splits: tuple[str, ...]
    shards: tuple[Shard, ...]
    bad: tuple[Bad, ...]

    @property
    def records(self) -> int:
        """How many records are expected, bad ones among them."""
        return sum(part.records for part in self.shards + self.bad)

    @property
    def fingerprint(self) -> str:
        """Differs where the items or their division do."""
        digest = hashlib.sha256()
        for shard in self.shards:
            digest.update(f"{shard.name}\n".encode())
            digest.update("".join(f"{i.key}\t{i.records}\n" for i in shard.items).encode())
        return digest.hexdigest()


def make_plan(splits: dict[str, Iterable[Item | Bad]], records_per_shard: int) -> Plan:
    """Puts the items of each split in the order of their keys' hashes and cuts it into shards.

    That order mixes scenes, so that a part such as `train[:10%]` is a sample of the whole; it does
    not depend on the order in which a folder lists its files.

    Raises:
        BadInput: there is no split, or one without items.
    """
    shards, bad, keys = [], [], set()
    for split, entries in splits.items():
        items, known = [], len(bad)
        for entry in entries:
            if isinstance(entry, Bad):
                bad.append(entry)
            elif entry.key in keys:
                bad.append(Bad(entry.key, f"the id {entry.key} comes twice.", entry.records))
            else:
                keys.add(entry.key)
                items.append(entry)
        if not items and len(bad) == known:
            raise BadInput(f"the split {split} is empty; check the raw data.")
        shards += _cut(split, sorted(items, key=_hash), records_per_shard)
    if not splits:
        raise BadInput("the raw data hold no split; check that they are those of this dataset.")
    return Plan(tuple(splits), tuple(shards), tuple(bad))


def _hash(item: Item) -> bytes:
    return hashlib.sha256(item.key.encode()).digest()


def _cut(split: str, items: list[Item], records_per_shard: int) -> list[Shard]:
    """Shards of nearly equal numbers of expected records; a long item may fill several' places."""
    total = sum(item.records for item in items)
    count = -(-total // records_per_shard)
    parts: list[list[Item]] = [[] for _ in range(count)]
    before = 0
    for item in items:
        parts[before * count // total].append(item)
        before += item.records
    parts = [part for part in parts if part]
    return [Shard(split, i, len(parts), tuple(part)) for i, part in enumerate(parts)]
