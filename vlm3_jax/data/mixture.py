"""The mixture of datasets that a run is trained on: whose records, how often, in which order."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, get_args
from zlib import crc32

import grain
import numpy as np

from vlm3_jax.data.records import Record
from vlm3_jax.data.sampling import Samplings, Task
from vlm3_jax.data.sources import Source, open_source
from vlm3_jax.errors import BadInput

TASKS: tuple[Task, ...] = get_args(Task)
# Draws that are shuffled among each other. Grain interleaves sources with a period, and a process
# that takes every so many draws of it could see one source only.
_WINDOW = 1024
# Of the records that `max_records` keeps: the same ones whatever the run's seed.
_CAP_SEED = 0


@dataclass(frozen=True)
class SourceConfig:
    """A dataset of the mixture, asked in one task."""

    name: str
    """The dataset, with its TFDS config if it has any: `synthetic_rooms/views`."""
    task: Task
    """What its records are asked."""
    split: str = "train"
    """Or a part of one, in TFDS's notation: `train[:10%]`."""
    weight: float | None = None
    """How often it is drawn from, relative to the other sources (of its task, where there are
    `task_weights`). None: by size, the number of its records times `repeats`; then none of these
    others may have a weight. 0 leaves the source out; it need not exist."""
    repeats: float = 1.0
    """How often its records count where sources are drawn from by size."""
    max_records: int | None = None
    """Records of it that are drawn from: a random part of them, the same one in every run."""
    data_dir: str | None = None
    """Folder that it was built into; that of the other sources if None."""

    def __post_init__(self):
        if self.weight is not None and not 0 <= self.weight < math.inf:
            raise BadInput(f"weight is {self.weight}, but must be 0 or more, or None for by size.")
        if not 0 < self.repeats < math.inf:
            raise BadInput(f"repeats is {self.repeats}, but must be positive.")
        if self.weight is not None and self.repeats != 1:
            raise BadInput(
                f"repeats is {self.repeats}, which counts only by size: set it to 1, or weight to"
                " None."
            )
        if self.max_records is not None and self.max_records < 1:
            raise BadInput(
                f"max_records is {self.max_records}, but must be at least 1, or None for all."
            )


class Draw(NamedTuple):
    """A record of the mixture."""

    source: int
    """Its place among the sources."""
    record: int
    """Its place in the source."""


@dataclass(frozen=True)
class MixtureSource:
    """Records of a dataset that are drawn from; picklable, so that worker processes can read."""

    label: str
    task: Task
    share: float
    """Of all draws."""
    dataset: Source
    size: int
    """Records that are drawn from."""

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> Record:
        last = len(self.dataset) - 1
        if self.size <= last:
            index = grain.experimental.index_shuffle(index, last, seed=_CAP_SEED, rounds=4)
        return self.dataset[index]


def check_mixture(sources: Mapping[str, SourceConfig], task_weights: Mapping[str, float]) -> None:
    """Raises BadInput where `shares` could not be told; the message begins with the key."""
    for label in sources:
        if not label.isidentifier():
            raise BadInput(f"sources.{label} is no label: use letters, digits and _.")
    for task, weight in task_weights.items():
        if task not in TASKS:
            raise BadInput(f"task_weights.{task} is no task: name {', '.join(TASKS)}.")
        if not 0 <= weight < math.inf:
            raise BadInput(f"task_weights.{task} is {weight}, but must be 0 or more.")
    if task_weights:
        asked = {source.task for source in sources.values()}
        if missing := sorted(asked - task_weights.keys()):
            raise BadInput(f"task_weights.{missing[0]} is missing, but sources have that task.")
        if unasked := sorted(set(task_weights) - asked):
            raise BadInput(f"task_weights.{unasked[0]} is of no use: no source has that task.")
    in_use = active(sources, task_weights)
    if not in_use:
        raise BadInput("sources has no dataset to draw from: add one, or a weight above 0.")
    for group in _groups(in_use, task_weights):
        by_size = [label for label, source in group.items() if source.weight is None]
        if by_size and len(by_size) < len(group):
            (weighted, *_) = group.keys() - set(by_size)
            raise BadInput(
                f"sources.{by_size[0]}.weight is None, which means by size, but"
                f" sources.{weighted} has a weight: give all of them weights, or none."
            )


def active(
    sources: Mapping[str, SourceConfig], task_weights: Mapping[str, float]
) -> dict[str, SourceConfig]:
    """The sources that are drawn from at all, in the order of their labels."""
    return {
        label: source
        for label, source in sorted(sources.items())
        if source.weight != 0 and task_weights.get(source.task) != 0
    }


def shares(
    sources: Mapping[str, SourceConfig],
    task_weights: Mapping[str, float],
    sizes: Mapping[str, int],
) -> dict[str, float]:
    """The share of each active source in all draws.

    Args:
        sources: see `check_mixture`.
        task_weights: of the tasks, relative; where empty, sources of all tasks stand side by side.
        sizes: number of records of the active sources, after `max_records`.
    """
    found = {}
    for group in _groups(active(sources, task_weights), task_weights):
        weights = {
            label: sizes[label] * source.repeats if source.weight is None else source.weight
            for label, source in group.items()
        }
        (task, *_) = (source.task for source in group.values())
        of_group = task_weights[task] if task_weights else 1.0
        found |= {label: of_group * w / sum(weights.values()) for label, w in weights.items()}
    return {label: found[label] / sum(found.values()) for label in sorted(found)}


def open_mixture(
    data_dir: str,
    sources: Mapping[str, SourceConfig],
    task_weights: Mapping[str, float],
    samplings: Samplings,
) -> tuple[MixtureSource, ...]:
    """Opens the active sources, in the order of their labels.

    Raises:
        BadInput: a dataset is missing, empty, or of records that its task does not ask about.
    """
    in_use = active(sources, task_weights)
    datasets, sizes = {}, {}
    for label, source in in_use.items():
        folder = source.data_dir or data_dir
        try:
            datasets[label] = open_source(
                folder, source.name, source.split, samplings.of(source.task).RECORD
            )
        except BadInput as error:
            raise BadInput(f"config.data.sources.{label}: {error}") from error
        sizes[label] = min(len(datasets[label]), source.max_records or len(datasets[label]))
    of_all = shares(sources, task_weights, sizes)
    return tuple(
        MixtureSource(label, source.task, of_all[label], datasets[label], sizes[label])
        for label, source in in_use.items()
    )


def draw_order(
    sizes: Mapping[str, int], shares: Mapping[str, float], seed: int
) -> grain.MapDataset[Draw]:
    """The endless order in which records are drawn.

    Every epoch of a source is a new permutation of its records, which depends on the seed and the
    source's label alone. Among `_WINDOW` draws sources have their shares, and a random order.

    Args:
        sizes: records of each source, by label.
        shares: of the sources in all draws, likewise.
        seed: of all orders.
    """
    streams = [
        grain.MapDataset.range(size)
        .seed(_derived(seed, label))
        .shuffle()
        .repeat()
        .map(partial(Draw, number))
        for number, (label, size) in enumerate(sizes.items())
    ]
    if len(streams) == 1:
        return streams[0]
    mixed = grain.MapDataset.mix(streams, [shares[label] for label in sizes])
    return grain.experimental.WindowShuffleMapDataset(
        mixed, window_size=_WINDOW, seed=_derived(seed, "/windows") // 2
    )


def _groups(
    sources: Mapping[str, SourceConfig], task_weights: Mapping[str, float]
) -> list[dict[str, SourceConfig]]:
    """The sources whose weights are relative to each other."""
    if not task_weights:
        return [dict(sources)]
    groups: dict[str, dict[str, SourceConfig]] = {}
    for label, source in sources.items():
        groups.setdefault(source.task, {})[label] = source
    return list(groups.values())


def _derived(seed: int, name: str) -> int:
    """A seed of 32 bits for what is called so; no label contains a slash."""
    return int(np.random.SeedSequence([seed, crc32(name.encode())]).generate_state(1)[0])
