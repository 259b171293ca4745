"""The compiled programs with what they have in flight, seen from the host."""

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from absl import logging
from jax.sharding import Mesh

from vlm3_jax.data.batch import pad_inputs
from vlm3_jax.decoding.branching import LEVELS, Level
from vlm3_jax.decoding.buckets import bucket
from vlm3_jax.decoding.cache import Sizes
from vlm3_jax.decoding.certainty import Tree
from vlm3_jax.decoding.compiled import (
    Programs,
    abstract_state,
    bytes_a_device,
    compile_programs,
    free_bytes,
)
from vlm3_jax.decoding.drafting import Template
from vlm3_jax.decoding.prompts import Prompts
from vlm3_jax.decoding.slots import Ticket
from vlm3_jax.decoding.state import Answers, Questions, State
from vlm3_jax.errors import BadInput
from vlm3_jax.models.functional import Params, unstack
from vlm3_jax.models.inputs import ImageInputs, TextInputs
from vlm3_jax.models.qwen3_vl.config import Qwen3VLConfig
from vlm3_jax.parallel.mesh import BATCH_AXES
from vlm3_jax.parallel.sharding import batch_sharding, param_shardings

# Tokens of a step from which on each further one costs as much as the first: below, a device mostly
# waits for the parameters.
_RIDGE = {"cpu": 8}
_RIDGE_OF_ACCELERATORS = 256


class Engine:
    """Prefixes and questions in, answers out; what goes where is decided by the caller.

    Every process of a run must make the same calls, and gets all answers.
    """

    def __init__(
        self,
        params: Params,
        model: Qwen3VLConfig,
        stop_tokens: Sequence[int],
        mesh: Mesh,
        *,
        cache_dtype: jnp.dtype,
        memory_bytes: int | None = None,
    ):
        """Makes nothing yet: `resize` says for what.

        Args:
            params: parameters that lie on `mesh`, in the type to compute in.
            model: the model's shapes.
            stop_tokens: ids that end an answer.
            mesh: the devices.
            cache_dtype: type of the kept keys and values.
            memory_bytes: that may be taken of each device; None: what is free.
        """
        self.groups = math.prod(mesh.shape[axis] for axis in BATCH_AXES)
        self.sizes = Sizes(self.groups, 0, 0, 0, 0, 0, 0, 0, 0)
        self._params = _unstacked(params, mesh)
        self._stop_tokens = np.array(stop_tokens, np.int32)
        self._mesh = mesh
        self._merge_area = model.vision.spatial_merge_size**2
        platform = mesh.devices.flat[0].platform
        self._ridge = _RIDGE.get(platform, _RIDGE_OF_ACCELERATORS)

        self._empty = partial(abstract_state, model=model, mesh=mesh, cache_dtype=cache_dtype)
        self._compile = partial(compile_programs, self._params, model, len(self._stop_tokens), mesh)
        self._memory_bytes = memory_bytes
        self._programs: Programs | None = None
        self._state: State | None = None

    def load(self, params: Params) -> None:
        """Goes on with other parameters of the same shapes, types and placement."""
        self._params = _unstacked(params, self._mesh)

    def resize(self, sizes: Sizes) -> None:
        """Makes room; what was in flight is gone.

        Where there is not memory enough, fewer rows and then fewer prefixes are in flight.

        Raises:
            BadInput: there is not enough even for one question.
        """
        self._state = self._programs = None  # The old caches are freed before new ones are made.
        free = self._memory_bytes or free_bytes(self._mesh)
        while (needed := self._try(sizes, free)) > free:
            if sizes.rows == sizes.images == 1:
                raise BadInput(
                    f"decoding one question needs {needed:,} bytes a device beside the parameters,"
                    f" but {free:,} are free: use more devices (config.mesh.tensor), smaller"
                    " images, a smaller max_new_tokens, or bfloat16."
                )
            smaller = sizes.smaller()
            logging.warning(
                "%d questions about each of %d images need %s bytes a device, but %s are free:"
                " %d about each of %d are in flight",
                *(sizes.rows, sizes.images, f"{needed:,}", f"{free:,}"),
                *(smaller.rows, smaller.images),
            )
            sizes = smaller
        self.sizes = sizes
        with jax.set_mesh(self._mesh):
            self._state = self._programs.clear()

    def _try(self, sizes: Sizes, free: int) -> int:
        """Compiles the programs, unless the state alone does not fit; the bytes that they need."""
        state = self._empty(sizes)
        needed = bytes_a_device(state)
        if needed <= free:
            self._programs = self._compile(sizes, state)
            needed += self._programs.work_bytes
        return needed

    def sizes_for(self, prompts: Prompts, now: Sizes | None = None) -> Sizes:
        """The given or present sizes, larger where these prompts do not fit in them."""
        images = len(prompts.images.patches) // self._merge_area
        patches = bucket(images, 16) * self._merge_area if images else 0
        question = max(len(question.tokens) for question in prompts.questions)
        now = now or self.sizes
        return replace(
            now,
            patches=max(now.patches, patches),
            prefix=max(now.prefix, bucket(len(prompts.prefix.tokens), 16)),
            question=max(now.question, bucket(question, 4)),
        )

    def admit(self, placed: Sequence[tuple[int, Prompts] | None]) -> None:
        """Reads a prefix into a slot of each group; None for a group that has none."""
        sizes = self.sizes
        some = next(one for one in placed if one is not None)[1]
        no_text, no_images = _empty(some.prefix), _empty(some.images)
        slots = [sizes.images if one is None else one[0] for one in placed]
        texts = [no_text if one is None else one[1].prefix for one in placed]
        text = pad_inputs(texts, TextInputs, sizes.prefix)
        images = [no_images if one is None else one[1].images for one in placed]
        patches = pad_inputs(images, ImageInputs, sizes.patches) if sizes.patches else None
        inputs = np.array(slots, np.int32), text, patches
        with jax.set_mesh(self._mesh):
            placed = jax.device_put(inputs, batch_sharding(self._mesh))
            self._state = self._programs.admit(self._params, self._state, *placed)

    def ask(
        self, placed: Sequence[tuple[int, Sequence[tuple[int, Ticket]]] | None], template: Template
    ) -> None:
        """Reads questions into rows (number and ticket) of a slot of each group."""
        sizes = self.sizes
        shape = sizes.groups, sizes.asked
        questions = Questions(
            slots=np.full(sizes.groups, sizes.images, np.int32),
            rows=np.full(shape, sizes.rows, np.int32),
            tokens=np.zeros((*shape, sizes.question), np.int32),
            positions=np.zeros((*shape, sizes.question, 3), np.int32),
            lengths=np.ones(shape, np.int32),
            limits=np.ones(shape, np.int32),
        )
        for group, one in enumerate(placed):
            if one is None:
                continue
            questions.slots[group], rows = one
            for i, (row, ticket) in enumerate(rows):
                length = len(ticket.text.tokens)
                questions.rows[group, i] = row
                questions.tokens[group, i, :length] = ticket.text.tokens
                questions.positions[group, i, :length] = ticket.text.positions
                questions.lengths[group, i] = length
                questions.limits[group, i] = ticket.limit
        with jax.set_mesh(self._mesh):
            questions = jax.device_put(questions, batch_sharding(self._mesh))
            self._state = self._programs.ask(
                self._params, self._state, questions, template.tokens, self._stop_tokens
            )

    def advance(self, until: np.ndarray, template: Template) -> tuple[Answers, jax.Array]:
        """Starts to go on with all answers (see `programs.advance`).

        Returns:
            All answers and the steps that were made: arrays that wait for the devices when they
            are read.
        """
        sizes = self.sizes
        tokens = sizes.images * sizes.rows
        wide_cost = max(tokens * sizes.window, self._ridge) / max(tokens, self._ridge)
        with jax.set_mesh(self._mesh):
            self._state, steps = self._programs.advance(
                self._params,
                self._state,
                template.tokens,
                self._stop_tokens,
                until.astype(np.int32),
                np.float32(wide_cost),
            )
            return self._programs.read(self._state.answers), steps

    def grow(self, placed: Sequence[tuple[int, Sequence[tuple[int, Tree]]] | None]) -> None:
        """Reads the trees (number of the row and tree) of ended rows of a slot of each group."""
        sizes = self.sizes
        shape = sizes.groups, sizes.asked
        nodes = LEVELS * sizes.branches
        with jax.set_mesh(self._mesh):
            kept = self._programs.plant()
        for number in range(LEVELS):
            level = Level(
                number=np.int32(number),
                slots=np.full(sizes.groups, sizes.images, np.int32),
                rows=np.full(shape, sizes.rows, np.int32),
                starts=np.zeros(shape, np.int32),
                tokens=np.zeros((*shape, sizes.branches), np.int32),
                visible=np.zeros((*shape, sizes.branches, nodes), bool),
            )
            trees = {}
            for group, one in enumerate(placed):
                if one is None:
                    continue
                level.slots[group], rows = one
                for i, (row, tree) in enumerate(rows):
                    trees[group, i] = tree
                    level.rows[group, i] = row
                    level.starts[group, i] = tree.start
                    for branch, prefix in enumerate(tree.open):
                        level.tokens[group, i, branch] = prefix.token
                        level.visible[group, i, branch, list(prefix.nodes)] = True
            if not any(tree.open for tree in trees.values()):
                return
            with jax.set_mesh(self._mesh):
                arrays = jax.device_put(level[1:], batch_sharding(self._mesh))
                kept, likely = self._programs.branch(
                    self._params, kept, self._state, Level(level.number, *arrays)
                )
            tokens, log_probs = map(np.asarray, likely)
            for place, tree in trees.items():
                tree.grow(tokens[place], log_probs[place])


def _unstacked(params: Params, mesh: Mesh) -> Params:
    shardings = param_shardings(jax.eval_shape(unstack, params), mesh)
    return jax.jit(unstack, out_shardings=shardings)(params)


def _empty(arrays):
    return type(arrays)(*(array[:0] for array in arrays))
