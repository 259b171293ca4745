"""Which question sits in which row: the host's side of what is in flight."""

from collections import deque
from dataclasses import dataclass, field

from vlm3_jax.models.inputs import TextInputs


@dataclass
class Ticket:
    """A question on its way to its answer."""

    number: int
    """Its place in the order of answers."""
    text: TextInputs
    """What follows the prefix."""
    limit: int
    """Tokens of the longest answer."""


@dataclass
class Slot:
    """A prefix in flight and its rows."""

    rows: list[Ticket | None]
    """What each row answers."""
    queue: deque[Ticket] = field(default_factory=deque)
    """Questions that wait for a row."""

    @property
    def free(self) -> list[int]:
        """Rows without a question."""
        return [row for row, ticket in enumerate(self.rows) if ticket is None]

    @property
    def num_active(self) -> int:
        """Rows with a question."""
        return sum(ticket is not None for ticket in self.rows)

    @property
    def is_done(self) -> bool:
        """Whether another prefix may take its place."""
        return not self.queue and self.num_active == 0

    def wants(self, asked: int, refill: bool) -> int:
        """How many rows must be free before questions are read; 0 where none wait.

        Args:
            asked: questions that are read at a time.
            refill: False waits for all rows.
        """
        if not self.queue:
            return 0
        return min(asked, len(self.queue), len(self.rows)) if refill else len(self.rows)

    def is_due(self, ended: int, asked: int, refill: bool) -> bool:
        """Whether ended answers are taken out: there is use for their rows, or all have ended.

        Args:
            ended: rows with a question whose answer has ended.
            asked: see `wants`.
            refill: see `wants`.
        """
        if not self.queue:
            return ended == self.num_active
        return ended + len(self.free) >= self.wants(asked, refill)

    def take(self, asked: int) -> list[tuple[int, Ticket]]:
        """Puts up to `asked` questions into free rows."""
        placed = [(row, self.queue.popleft()) for row in self.free[:asked] if self.queue]
        for row, ticket in placed:
            self.rows[row] = ticket
        return placed
