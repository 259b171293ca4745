"""Any number of prompts through the engine, in order: continuous batching."""

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, zip_longest

import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from vlm3_jax.data.encoder import Encoded
from vlm3_jax.decoding.certainty import Tree, ValueMass, first_number
from vlm3_jax.decoding.config import DecodingConfig
from vlm3_jax.decoding.drafting import no_template, template_of
from vlm3_jax.decoding.engine import Engine
from vlm3_jax.decoding.prompts import Prompts, split
from vlm3_jax.decoding.slots import Slot, Ticket
from vlm3_jax.decoding.state import Answers
from vlm3_jax.models.functional import Params
from vlm3_jax.models.qwen3_vl.config import Qwen3VLConfig

_ASKED = 32  # Most questions read at a time: enough to fill the devices, little work thrown away.


@dataclass(frozen=True)
class Answer:
    """What the model said to one prompt."""

    token_ids: tuple[int, ...]
    """With the stop token, where it came."""
    finished: bool
    """Whether a stop token came before the longest answer was reached."""
    log_probability: float
    """Natural logarithm, of all its tokens together."""
    values: tuple[ValueMass, ...] = ()
    """With branches, what its first number could have been if all before it is as it was said, by
    size; () where it has none. Two significant digits of each are known, and it stands for all
    numbers that begin with them."""
    unexplained: float = 1.0
    """Probability of whatever else could have been said there; 1 less that of all values."""

    @property
    def distribution(self) -> tuple[np.ndarray, np.ndarray]:
        """The values, [N], and their probabilities, [N]."""
        pairs = [(one.value, one.probability) for one in self.values]
        values, probabilities = np.array(pairs, np.float64).reshape(-1, 2).T
        return values, probabilities


@dataclass
class Stats:
    """What a decoder has done."""

    prefixes: int = 0
    """Read."""
    questions: int = 0
    """Answered."""
    tokens: int = 0
    """Said."""
    narrow_steps: int = 0
    """Steps of one token a row."""
    wide_steps: int = 0
    """Steps that checked guesses."""


class Decoder:
    """Answers prompts greedily.

    Attributes:
        config: how.
        stats: what it has done.
    """

    def __init__(
        self,
        params: Params,
        model: Qwen3VLConfig,
        stop_tokens: Sequence[int],
        mesh: Mesh,
        config: DecodingConfig,
        text_of: Callable[[int], str],
    ):
        """Makes the programs; they are compiled when the first prompt comes.

        Args:
            params: parameters that lie on `mesh`, in the type to compute in.
            model: the model's shapes.
            stop_tokens: ids that end an answer.
            mesh: the devices.
            config: how answers are written.
            text_of: what a token says.
        """
        self.stats = Stats()
        self._stop_tokens = frozenset(stop_tokens)
        self.config = config
        self._text_of = text_of
        self._template = no_template()
        dtype = params["text"]["embed"]["embedding"].dtype
        if config.cache_dtype != "auto":
            dtype = jnp.dtype(config.cache_dtype)
        self._engine = Engine(
            params,
            model,
            stop_tokens,
            mesh,
            cache_dtype=dtype,
            memory_bytes=config.memory_bytes,
        )
        self._wanted = self._engine.sizes
        # Without a shared prefix every row has its own.
        self._rows = config.questions if config.share_prefix else 1
        self._images = config.images * config.questions // self._rows

    def load(self, params: Params) -> None:
        """Goes on with other parameters of the same shapes, types and placement."""
        self._engine.load(params)

    def answer(self, groups: Iterable[Sequence[Encoded]]) -> Iterator[Answer]:
        """Answers the prompts of every group, in order.

        Args:
            groups: prompts about the same images each, as `Encoder.encode_prompts` makes them. They
                are drawn as they are needed, the next ones while the devices are at work.
        """
        jobs = deque()
        source = self._jobs(groups)
        self._draw(jobs, source, 1)
        ready: dict[int, Answer] = {}
        next_number = 0
        while jobs:
            self._draw(jobs, source, self._images * self._engine.groups)
            for answers in self._work(jobs, source):
                ready |= answers
                while next_number in ready:
                    yield ready.pop(next_number)
                    next_number += 1

    def expect(self, answer: Sequence[int]) -> None:
        """Guesses that the next answers have the form of this one, numbers aside.

        A finished answer replaces it.

        Args:
            answer: token ids, with the stop token.
        """
        self._template = template_of(answer, self._text_of)

    def _jobs(self, groups: Iterable[Sequence[Encoded]]) -> Iterator[tuple[Prompts, list[Ticket]]]:
        """The prompts of every prefix with tickets for their questions."""
        number = 0
        for group in groups:
            for prompts in split(group, self.config.share_prefix) if group else ():
                tickets = [
                    Ticket(number + i, text, self.config.max_new_tokens)
                    for i, text in enumerate(prompts.questions)
                ]
                number += len(tickets)
                yield prompts, tickets

    def _draw(self, jobs: deque, source: Iterator, number: int) -> None:
        """Fills `jobs` up to `number`, as far as there are more."""
        jobs.extend(islice(source, max(number - len(jobs), 0)))

    def _work(self, jobs: deque, source: Iterator) -> Iterator[dict[int, Answer]]:
        """Answers jobs until none is left, or one comes for which there is no room yet."""
        engine = self._engine
        self._make_room(jobs)
        slots = np.empty((engine.groups, engine.sizes.images), object)
        for place in np.ndindex(slots.shape):
            slots[place] = Slot([None] * engine.sizes.rows)
        while True:
            self._admit(slots, jobs)
            self._ask(slots)
            if not any(slot.num_active for slot in slots.flat):
                return
            answers, steps = engine.advance(self._until(slots, jobs), self._template)
            self._draw(jobs, source, slots.size)  # While the devices are at work.
            narrow, wide = np.asarray(steps)
            self.stats.narrow_steps += int(narrow)
            self.stats.wide_steps += int(wide)
            yield self._harvest(slots, answers)

    def _fits(self, prompts: Prompts) -> bool:
        return self._engine.sizes_for(prompts) == self._engine.sizes

    def _make_room(self, jobs: deque) -> None:
        """Sizes the engine for the jobs that are known."""
        engine = self._engine
        sizes = self._wanted
        rows = min(self._rows, max(len(tickets) for _, tickets in jobs))
        sizes = replace(
            sizes,
            images=max(sizes.images, min(self._images, -(-len(jobs) // engine.groups))),
            rows=max(sizes.rows, rows),
            answer=self.config.max_new_tokens,
            window=1 + self.config.draft_tokens,
            branches=self.config.branches,
        )
        times = -(-sizes.rows // _ASKED)  # All rows are filled in so many equal parts.
        sizes = replace(sizes, asked=-(-sizes.rows // times))
        for prompts, _ in jobs:
            sizes = engine.sizes_for(prompts, sizes)
        if sizes != self._wanted:
            engine.resize(sizes)
            self._wanted = sizes  # Memory may give less, and would again.

    def _admit(self, slots: np.ndarray, jobs: deque) -> None:
        """Reads the prefixes of waiting jobs into slots that are done."""
        if not self.config.refill and not all(slot.is_done for slot in slots.flat):
            return
        while jobs and self._fits(jobs[0][0]):
            free = [[i for i, slot in enumerate(group) if slot.is_done] for group in slots]
            placed = []
            for group, places in enumerate(free):
                if not (places and jobs and self._fits(jobs[0][0])):
                    placed.append(None)
                    continue
                prompts, tickets = jobs.popleft()
                slots[group, places[0]].queue.extend(tickets)
                placed.append((places[0], prompts))
            if not any(placed):
                return
            self._engine.admit(placed)
            self.stats.prefixes += sum(one is not None for one in placed)

    def _ask(self, slots: np.ndarray) -> None:
        """Reads waiting questions into free rows, wherever enough of these are free."""
        asked, refill = self._engine.sizes.asked, self.config.refill
        open_slots = {
            place: min(len(slot.free), len(slot.queue))
            for place, slot in np.ndenumerate(slots)
            if slot.queue and len(slot.free) >= slot.wants(asked, refill)
        }
        while open_slots:
            placed = []
            for group in range(len(slots)):
                mine = [place for place in open_slots if place[0] == group]
                if not mine:
                    placed.append(None)
                    continue
                rows = slots[mine[0]].take(asked)
                placed.append((mine[0][1], rows))
                open_slots[mine[0]] -= len(rows)
                if not open_slots[mine[0]]:
                    del open_slots[mine[0]]
            self._engine.ask(placed, self._template)

    def _until(self, slots: np.ndarray, jobs: deque) -> np.ndarray:
        """For every slot, how few active rows give the host something to do; -1: nothing does."""
        until = np.full(slots.shape, -1)
        for place, slot in np.ndenumerate(slots):
            if slot.queue:
                wanted = slot.wants(self._engine.sizes.asked, self.config.refill)
                until[place] = len(slot.rows) - wanted
            elif jobs and slot.num_active:
                until[place] = 0
        return until

    def _harvest(self, slots: np.ndarray, answers: Answers) -> dict[int, Answer]:
        """Takes the answers that have ended out of their rows."""
        tokens, log_probs, counts, active = map(np.asarray, answers)
        done: dict[int, Answer] = {}
        trees: dict[int, tuple[tuple[int, int], int, Tree]] = {}
        for place, row in self._due(slots, active):
            ticket, slots[place].rows[row] = slots[place].rows[row], None
            count = counts[*place, row]
            ids = tuple(tokens[*place, row, :count].tolist())
            log_probability = float(log_probs[*place, row, :count].sum(dtype=np.float64))
            done[ticket.number] = Answer(ids, ids[-1] in self._stop_tokens, log_probability)
            if tree := self._tree(ticket, ids):
                trees[ticket.number] = place, row, tree
            self.stats.questions += 1
            self.stats.tokens += int(count)
        self._grow(trees.values())
        for number, (_, _, tree) in trees.items():
            done[number] = replace(done[number], values=tree.values, unexplained=tree.unexplained)
        finished = [answer for answer in done.values() if answer.finished]
        if finished and self.config.draft_tokens:
            self.expect(finished[-1].token_ids)
        return done

    def _due(self, slots: np.ndarray, active: np.ndarray) -> Iterator[tuple[tuple[int, int], int]]:
        """Slots and rows whose answers have ended, where there is use for the rows."""
        asked, refill = self._engine.sizes.asked, self.config.refill
        for place, slot in np.ndenumerate(slots):
            rows = [row for row, ticket in enumerate(slot.rows) if ticket is not None]
            ended = [row for row in rows if not active[*place, row]]
            if slot.is_due(len(ended), asked, refill):
                yield from ((place, row) for row in ended)

    def _tree(self, ticket: Ticket, answer: Sequence[int]) -> Tree | None:
        """The tree of an answer's first number; None without branches or a number."""
        branches = self.config.branches
        start = first_number(answer, self._text_of) if branches else None
        if start is None:
            return None
        root = answer[start - 1] if start else int(ticket.text.tokens[-1])
        return Tree(start, root, branches, self._text_of)

    def _grow(self, waiting: Iterable[tuple[tuple[int, int], int, Tree]]) -> None:
        """Reads the trees of rows of slots; a slot of every group, and `asked` rows, at a time."""
        by_slot: dict[tuple[int, int], list[tuple[int, Tree]]] = defaultdict(list)
        for place, row, tree in waiting:
            by_slot[place].append((row, tree))
        by_group: list[list] = [[] for _ in range(self._engine.groups)]
        asked = self._engine.sizes.asked
        for (group, slot), rows in by_slot.items():
            some = (rows[first : first + asked] for first in range(0, len(rows), asked))
            by_group[group].extend((slot, part) for part in some)
        for placed in zip_longest(*by_group):
            self._engine.grow(placed)
