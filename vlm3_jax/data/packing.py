"""Rows filled with several samples each, first-fit, under all budgets of a row."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from operator import add, le
from typing import Any, Generic, TypeVar

import grain
import numpy as np

from vlm3_jax.data.encoder import Encoded, Size
from vlm3_jax.models.inputs import ImageInputs, TextInputs

T = TypeVar("T")
_EMPTY = Size(0, 0, 0)


def join(samples: Sequence[Encoded]) -> Encoded:
    """Puts samples one after another into one row, in which each stays by itself.

    Sample k has the text segment id k; images are numbered through the row, and visual tokens
    count from the row's first patch. Positions and question ids stay those of the sample.
    """
    texts, images = [], []
    num_images = num_visual = 0
    for number, sample in enumerate(samples, start=1):
        index = sample.text.visual_index
        texts.append(
            sample.text._replace(
                segment_ids=np.full_like(sample.text.segment_ids, number),
                visual_index=np.where(index >= 0, index + num_visual, -1).astype(index.dtype),
            )
        )
        segment_ids = sample.images.segment_ids
        images.append(sample.images._replace(segment_ids=segment_ids + np.int32(num_images)))
        num_images += segment_ids.max(initial=0)
        num_visual += index.max(initial=-1) + 1
    return Encoded(
        key=", ".join(sample.key for sample in samples),
        text=TextInputs(*map(np.concatenate, zip(*texts, strict=True))),
        images=ImageInputs(*map(np.concatenate, zip(*images, strict=True))),
        targets=np.concatenate([sample.targets for sample in samples]),
        loss_weights=np.concatenate([sample.loss_weights for sample in samples]),
        source_ids=np.concatenate([sample.source_ids for sample in samples]),
    )


@dataclass
class OpenRow(Generic[T]):
    """What a row holds so far."""

    members: list[T] = field(default_factory=list)
    size: Size = _EMPTY

    def put(self, member: T, size: Size) -> None:
        """Adds a member of that size."""
        self.members.append(member)
        self.size = _sum(self.size, size)


@dataclass
class FirstFit(Generic[T]):
    """Puts each member into the oldest open row that has room for it.

    Where none has, a new row is opened for it, and when that makes more than `max_open`, the oldest
    is closed. So a member waits for a bounded number of rows, and with `max_open` 0 every member
    has a row of its own, in the order in which they come.
    """

    budget: Size
    max_open: int
    open_rows: list[OpenRow[T]] = field(default_factory=list)
    """From the oldest to the newest."""

    def add(self, member: T, size: Size) -> OpenRow[T] | None:
        """Places a member that is within the budget; returns the row that this closes, if any."""
        for row in self.open_rows:
            if all(map(le, _sum(row.size, size), self.budget)):
                break
        else:
            row = OpenRow()
            self.open_rows.append(row)
        row.put(member, size)
        return self.open_rows.pop(0) if len(self.open_rows) > self.max_open else None


class PackIterDataset(grain.IterDataset):
    """Grain stage from samples to rows that hold several of them.

    A saved state names the samples in the open rows by their indices instead of holding their
    images; restoring encodes them again.
    """

    def __init__(
        self,
        parent: grain.IterDataset,
        sample_at: Callable[[int], Encoded],
        budget: Size,
        open_rows: int,
    ):
        """Arguments are those of `FirstFit`, and where samples come from.

        Args:
            parent: an endless stream of samples within the budget.
            sample_at: gives the i-th sample of `parent` again.
            budget: of a row.
            open_rows: rows that are filled at the same time; 0 puts one sample in a row.
        """
        super().__init__(parent)
        self._sample_at = sample_at
        self._budget, self._max_open = budget, open_rows

    def __iter__(self) -> "PackIterator":
        return PackIterator(
            iter(self._parent), self._sample_at, FirstFit(self._budget, self._max_open)
        )


class PackIterator(grain.DatasetIterator):
    """See `PackIterDataset`."""

    def __init__(
        self,
        parent: grain.DatasetIterator,
        sample_at: Callable[[int], Encoded],
        packer: FirstFit[tuple[int, Encoded]],
    ):
        """Begins with the packer's rows, of which none is open yet."""
        super().__init__(parent)
        self._sample_at = sample_at
        self._packer = packer
        self._drawn = 0

    def __next__(self) -> Encoded:
        closed = None
        while closed is None:
            sample = next(self._parent)
            closed = self._packer.add((self._drawn, sample), sample.size)
            self._drawn += 1
        return join([sample for _, sample in closed.members])

    def get_state(self) -> dict[str, Any]:
        """Plain JSON types."""
        open_rows = [[index for index, _ in row.members] for row in self._packer.open_rows]
        return {"parent": self._parent.get_state(), "drawn": self._drawn, "open_rows": open_rows}

    def set_state(self, state: dict[str, Any]) -> None:
        """Goes on as the iterator did whose state this was."""
        self._parent.set_state(state["parent"])
        self._drawn = state["drawn"]
        self._packer.open_rows = [self._open_row(indices) for indices in state["open_rows"]]

    def _open_row(self, indices: Sequence[int]) -> OpenRow[tuple[int, Encoded]]:
        row = OpenRow()
        for index in indices:
            sample = self._sample_at(index)
            row.put((index, sample), sample.size)
        return row


def _sum(one: Size, other: Size) -> Size:
    return Size(*map(add, one, other))
