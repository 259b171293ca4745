"""The three programs of greedy decoding: prefixes in, questions in, and the loop of answers.

What is in flight is in the module `state`, with the letters of the shapes. A question's tokens see
the prefix's keys and values and those of their own row.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from vlm3_jax.decoding.attend import attend_questions, attend_window, keep_prefix
from vlm3_jax.decoding.cache import Cache, KeyValues
from vlm3_jax.decoding.drafting import follow, propose
from vlm3_jax.decoding.state import Answers, Questions, State
from vlm3_jax.models.attention.kernels import Kernel, row_attention
from vlm3_jax.models.execution import Execution
from vlm3_jax.models.functional import Params, build
from vlm3_jax.models.inputs import ImageInputs, TextInputs
from vlm3_jax.models.qwen3_vl.config import Qwen3VLConfig
from vlm3_jax.models.qwen3_vl.model import Qwen3VL
from vlm3_jax.models.qwen3_vl.text import CachedAttend

_Carry = tuple[State, jax.Array]


def admit(
    params: Params,
    state: State,
    slots: jax.Array,
    text: TextInputs,
    images: ImageInputs | None,
    *,
    config: Qwen3VLConfig,
    kernel: Kernel,
) -> State:
    """Reads one prefix a group and keeps its keys and values.

    Args:
        params: the model's parameters.
        state: what is in flight.
        slots: int32 [G], where the prefixes go; I for a group that has none.
        text: G rows of P tokens.
        images: those of the prefixes; None where no prefix has any.
        config: the model's shapes.
        kernel: what computes attention.
    """
    model = build(config, params, Execution(attention=kernel, unroll=True))
    features = None if images is None else model.encode_images(images)
    row = row_attention(kernel, text.segment_ids, text.question_ids, causal=True)

    def attend(query: jax.Array, new: KeyValues, cache: Cache) -> tuple[jax.Array, Cache]:
        kept = cache._replace(shared=keep_prefix(cache.shared, slots, new))
        return row(query, *new), kept

    _, cache = model.hidden(text, features, by_layer(attend), state.cache)
    lengths = jnp.sum(text.segment_ids > 0, axis=1, dtype=jnp.int32)
    put = jax.vmap(lambda kept, slot, new: kept.at[slot].set(new, mode="drop"))
    return state._replace(
        cache=cache,
        prefix_lengths=put(state.prefix_lengths, slots, lengths),
    )


def ask(
    params: Params,
    state: State,
    questions: Questions,
    template: jax.Array,
    stop_tokens: jax.Array,
    *,
    config: Qwen3VLConfig,
    kernel: Kernel,
) -> State:
    """Reads questions into free rows and says the first token of their answers.

    Args:
        params: the model's parameters.
        state: what is in flight.
        questions: what to read.
        template: int32 [256], of a `Template`.
        stop_tokens: int32 [E], ids that end an answer.
        config: the model's shapes.
        kernel: what computes attention.
    """
    model = build(config, params, Execution(unroll=True))
    groups, asked, length = questions.tokens.shape
    rows = groups * asked

    def attend(query: jax.Array, new: KeyValues, cache: Cache) -> tuple[jax.Array, Cache]:
        where = questions.slots, questions.rows
        return attend_questions(kernel, query, new, cache, *where, state.prefix_lengths)

    text = text_rows(
        questions.tokens.reshape(rows, length), questions.positions.reshape(rows, length, 3)
    )
    hidden, cache = model.hidden(text, None, by_layer(attend), state.cache)
    last = jnp.maximum(questions.lengths.reshape(rows) - 1, 0)
    hidden = jnp.take_along_axis(hidden, last[:, None, None], axis=1)
    first_tokens = _Said.of(model, hidden)

    last_position = jnp.take_along_axis(
        questions.positions[..., 0], last.reshape(groups, asked)[..., None], axis=2
    )[..., 0]
    state = _begin(state._replace(cache=cache), questions, last_position + 1)
    in_rows = jax.tree.map(lambda x: _spread(x, questions, state.lengths.shape), first_tokens)
    fresh = _spread(jnp.ones((rows, 1), bool), questions, state.lengths.shape)[..., 0]
    return _say(state, in_rows, fresh.astype(jnp.int32), fresh, template, stop_tokens)


def advance(
    params: Params,
    state: State,
    template: jax.Array,
    stop_tokens: jax.Array,
    until: jax.Array,
    wide_cost: jax.Array,
    *,
    config: Qwen3VLConfig,
    kernel: Kernel,
    window: int,
) -> tuple[State, jax.Array]:
    """Goes on with all answers until so many have ended that the host has something to do.

    Args:
        params: the model's parameters.
        state: what is in flight.
        template: int32 [256], of a `Template`.
        stop_tokens: int32 [E], ids that end an answer.
        until: int32 [G, I]: stops as soon as no more rows of a prefix than this are active; -1 for
            a prefix that nothing waits for. It stops in any case when no row is.
        wide_cost: float32 [], a step of `window` tokens a row by one of a single token.
        config: the model's shapes.
        kernel: what computes attention.
        window: W, tokens a row of a wide step; 1 without drafting.

    Returns:
        The state, and int32 [2]: narrow and wide steps that were made.
    """
    model = build(config, params, Execution(unroll=True))

    def is_unfinished(carry: _Carry) -> jax.Array:
        active = carry[0].answers.active
        return jnp.any(active) & ~jnp.any(jnp.sum(active, axis=2) <= until)

    def narrow(carry: _Carry) -> _Carry:
        state, steps = carry
        nothing = jnp.zeros((*state.lengths.shape, 0), jnp.int32)
        state = _step(model, state, nothing, template, stop_tokens, kernel)
        return state, steps.at[0].add(1)

    def wide(carry: _Carry) -> _Carry:
        state, steps = carry
        guesses = _guess(state, template, window - 1)[0]
        state = _step(model, state, guesses, template, stop_tokens, kernel)
        return state, steps.at[1].add(1)

    def is_wide(carry: _Carry) -> jax.Array:
        """Whether a wide step says as much as narrow ones in the same time, guesses being right."""
        active = carry[0].answers.active
        sure = _guess(carry[0], template, window - 1)[1]
        return 1 + jnp.sum(jnp.where(active, sure, 0)) / jnp.sum(active) >= wide_cost

    start = state, jnp.zeros(2, jnp.int32)
    if window == 1:
        return jax.lax.while_loop(is_unfinished, narrow, start)

    # A loop of each kind in turn: a conditional in one loop would copy the cache at every step.
    def in_turn(carry: _Carry) -> _Carry:
        carry = jax.lax.while_loop(lambda c: is_unfinished(c) & ~is_wide(c), narrow, carry)
        return jax.lax.while_loop(lambda c: is_unfinished(c) & is_wide(c), wide, carry)

    return jax.lax.while_loop(is_unfinished, in_turn, start)


def by_layer(
    attend: Callable[[jax.Array, KeyValues, Cache], tuple[jax.Array, Cache]],
) -> CachedAttend:
    """Gives every layer its own cache."""

    def attend_layer(
        query: jax.Array, key: jax.Array, value: jax.Array, layer: int, cache: tuple[Cache, ...]
    ) -> tuple[jax.Array, tuple[Cache, ...]]:
        out, kept = attend(query, KeyValues(key, value), cache[layer])
        return out, (*cache[:layer], kept, *cache[layer + 1 :])

    return attend_layer


class _Said(NamedTuple):
    """What the model says after each of W tokens of R rows."""

    tokens: jax.Array  # int32 [R, W]
    log_probs: jax.Array  # float32 [R, W]

    @classmethod
    def of(cls, model: Qwen3VL, hidden: jax.Array) -> "_Said":
        """From hidden states [R, W, D]; the first of equally likely tokens wins."""
        logits = model.logits(hidden)
        total = jax.nn.logsumexp(logits, axis=-1)
        tokens = jnp.argmax(logits, axis=-1).astype(jnp.int32)
        return cls(tokens, jnp.max(logits, axis=-1) - total)


def _step(
    model: Qwen3VL,
    state: State,
    guesses: jax.Array,
    template: jax.Array,
    stop_tokens: jax.Array,
    kernel: Kernel,
) -> State:
    """Reads the newest token of every row and its guesses, [G, I, Q, W - 1], and goes on."""
    answers, shape = state.answers, state.lengths.shape
    newest = jnp.take_along_axis(
        answers.tokens, jnp.maximum(answers.counts - 1, 0)[..., None], axis=3
    )
    window = jnp.concatenate([newest, jnp.maximum(guesses, 0)], axis=3)
    width = window.shape[3]
    ahead = jnp.arange(width)
    positions = (state.positions[..., None] + ahead).reshape(-1, width)

    def attend(query: jax.Array, new: KeyValues, cache: Cache) -> tuple[jax.Array, Cache]:
        lengths = state.lengths, state.prefix_lengths
        return attend_window(kernel, query, new, cache, *lengths)

    text = text_rows(
        window.reshape(-1, width), jnp.broadcast_to(positions[..., None], (*positions.shape, 3))
    )
    hidden, cache = model.hidden(text, None, by_layer(attend), state.cache)
    said = _Said.of(model, hidden)
    said = jax.tree.map(lambda x: x.reshape(*shape, *x.shape[1:]), said)
    right = jnp.cumprod(said.tokens[..., :-1] == guesses, axis=3)
    number = 1 + jnp.sum(right, axis=3, dtype=jnp.int32)
    state = state._replace(cache=cache)
    return _say(state, said, number, answers.active, template, stop_tokens)


def _say(
    state: State,
    said: _Said,
    number: jax.Array,
    rows: jax.Array,
    template: jax.Array,
    stop_tokens: jax.Array,
) -> State:
    """Puts the first `number` tokens of `said` behind the answers of `rows`, up to their ends."""
    answers = state.answers
    is_stop = jnp.isin(said.tokens, stop_tokens)
    up_to_stop = jnp.where(
        jnp.any(is_stop, axis=3), jnp.argmax(is_stop, axis=3) + 1, is_stop.shape[3]
    )
    number = jnp.minimum(jnp.minimum(number, up_to_stop), state.limits - answers.counts)
    number = jnp.where(rows, number, 0)
    ended = jnp.any(is_stop & (jnp.arange(is_stop.shape[3]) < number[..., None]), axis=3)
    counts = answers.counts + number

    # What lies behind `number` means nothing and is overwritten by the next tokens.
    put = lambda kept, new, at: jax.lax.dynamic_update_slice_in_dim(kept, new, at, 0)  # noqa: E731
    fields = ("tokens", "log_probs")
    kept = {
        name: _on_rows(put, getattr(answers, name), getattr(said, name), answers.counts)
        for name in fields
    }
    progress = _on_rows(
        lambda *row: follow(template, *row), state.progress, said.tokens, answers.counts, number
    )
    is_first = answers.counts == 0  # The first token comes from the question and is not read yet.
    read = jnp.where(is_first, 0, number)
    active = jnp.where(rows, ~ended & (counts < state.limits), answers.active)
    return state._replace(
        lengths=state.lengths + read,
        positions=state.positions + read,
        answers=Answers(counts=counts, active=active, **kept),
        progress=progress,
    )


def _begin(state: State, questions: Questions, positions: jax.Array) -> State:
    """Makes rows ready for the answers to new questions, whose tokens go to `positions` [G, F]."""

    def put(kept: jax.Array, new: jax.Array | int) -> jax.Array:
        new = jnp.broadcast_to(new, questions.rows.shape)
        return jax.vmap(lambda k, slot, rows, n: k.at[slot, rows].set(n, mode="drop"))(
            kept, questions.slots, questions.rows, new
        )

    answers = state.answers._replace(counts=put(state.answers.counts, 0))
    clear = jax.vmap(lambda k, slot, rows: k.at[slot, rows].set(0, mode="drop"))
    return state._replace(
        lengths=put(state.lengths, questions.lengths),
        positions=put(state.positions, positions),
        limits=put(state.limits, questions.limits),
        answers=answers,
        progress=jax.tree.map(lambda x: clear(x, questions.slots, questions.rows), state.progress),
    )


def _spread(x: jax.Array, questions: Questions, rows: tuple[int, ...]) -> jax.Array:
    """Values of the questions, [G * F, ...], at the places of their rows, [G, I, Q, ...]."""
    new = x.reshape(*questions.rows.shape, *x.shape[1:])
    empty = jnp.zeros((*rows, *x.shape[1:]), x.dtype)
    return jax.vmap(lambda e, slot, r, n: e.at[slot, r].set(n, mode="drop"))(
        empty, questions.slots, questions.rows, new
    )


def _guess(state: State, template: jax.Array, number: int) -> tuple[jax.Array, jax.Array]:
    """The next tokens of every row, [G, I, Q, number], and how many of them are sure."""
    answers = state.answers
    return _on_rows(
        lambda *row: propose(template, *row, number),
        *(state.progress, answers.tokens, answers.counts),
    )


def _on_rows(function, *arrays):
    """Maps over [G, I, Q]."""
    return jax.vmap(jax.vmap(jax.vmap(function)))(*arrays)


def text_rows(tokens: jax.Array, positions: jax.Array) -> TextInputs:
    """Rows of text tokens, [R, W] and [R, W, 3], of one conversation each."""
    return TextInputs(
        tokens=tokens,
        positions=positions,
        segment_ids=jnp.ones_like(tokens),
        question_ids=jnp.zeros_like(tokens),
        visual_index=jnp.full_like(tokens, -1),
    )
