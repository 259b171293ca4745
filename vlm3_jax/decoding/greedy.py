"""Greedy decoding in one XLA program: vision, prefill, and a loop that ends with the last row."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from vlm3_jax.models.attention.visibility import causal_mask
from vlm3_jax.models.functional import Params, build
from vlm3_jax.models.inputs import ImageInputs, TextInputs
from vlm3_jax.models.qwen3_vl.config import Qwen3VLConfig
from vlm3_jax.models.qwen3_vl.model import Qwen3VL
from vlm3_jax.models.qwen3_vl.text import KVCache
from vlm3_jax.models.qwen3_vl.vision import VisualFeatures


class Generated(NamedTuple):
    """Answers of R rows."""

    tokens: jax.Array
    """int32 [R, N]: the answers; what follows an answer's end is 0 and means nothing."""
    counts: jax.Array
    """int32 [R]: tokens of each answer, with the stop token where it came; 0 for padding rows."""


class _State(NamedTuple):
    """What the loop carries; `step` tokens of every row exist."""

    step: jax.Array
    generated: Generated
    done: jax.Array  # bool [R]
    cache: KVCache


def generate(
    params: Params,
    stop_tokens: jax.Array,
    text: TextInputs,
    images: ImageInputs | None,
    *,
    config: Qwen3VLConfig,
    max_new_tokens: int,
) -> Generated:
    """Decodes every row greedily until its stop token or `max_new_tokens`.

    To be compiled with `config` and `max_new_tokens` static. Activations and the cache have the
    type of the parameters; logits are float32, and the first of equal ones wins.

    Args:
        params: the model's parameters.
        stop_tokens: int32 [E], ids that end an answer.
        text: R prompts of one conversation each, padded on the right to L; a row that is all
            padding (segment id 0) is done from the start.
        images: of I groups; group i's images, encoded once, serve the rows from i * R / I on. None
            where no prompt has an image.
        config: the model's shapes.
        max_new_tokens: N, tokens of the longest answer.
    """
    model = build(config, params)
    rows, length = text.tokens.shape
    features = None
    if images is not None:
        features = _repeat(model.encode_images(images), rows // images.patches.shape[0])

    # A prompt of n tokens fills the slots up to n; its answer goes on from there, over the padding.
    # The M-RoPE position goes on from the largest one of the prompt instead, which an image makes
    # smaller than n. The last token of an answer is never read, so it needs no slot.
    prompt = text.segment_ids > 0
    next_slot = jnp.sum(prompt, axis=1, dtype=jnp.int32)
    next_position = jnp.max(jnp.where(prompt[..., None], text.positions, -1), axis=(1, 2)) + 1
    num_slots = length + max_new_tokens - 1

    mask = causal_mask(text.segment_ids, text.question_ids)
    hidden, cache = model.hidden(
        text,
        features,
        mask=jnp.pad(mask, ((0, 0), (0, 0), (0, num_slots - length))),
        cache=KVCache.zeros(config.text, rows, num_slots, _activation_type(params)),
        slots=jnp.broadcast_to(jnp.arange(length), (rows, length)),
    )
    last = jnp.take_along_axis(hidden, jnp.maximum(next_slot - 1, 0)[:, None, None], axis=1)

    empty = Generated(jnp.zeros((rows, max_new_tokens), jnp.int32), jnp.zeros(rows, jnp.int32))
    state = _State(jnp.int32(0), empty, done=next_slot == 0, cache=cache)
    state = _append(state, _most_likely(model, last), stop_tokens)

    def unfinished(state: _State) -> jax.Array:
        return (state.step < max_new_tokens) & ~jnp.all(state.done)

    def advance(state: _State) -> _State:
        read = state.step - 1  # The newest token has not been read by the model yet.
        slot, position = next_slot + read, next_position + read
        hidden, cache = model.hidden(
            _single_tokens(state.generated.tokens[:, read], position),
            None,
            mask=jnp.arange(num_slots) <= slot[:, None, None],
            cache=state.cache,
            slots=slot[:, None],
        )
        return _append(state._replace(cache=cache), _most_likely(model, hidden), stop_tokens)

    return jax.lax.while_loop(unfinished, advance, state).generated


def _repeat(features: VisualFeatures, times: int) -> VisualFeatures:
    """Gives each group's features to its rows."""
    return VisualFeatures(
        tokens=jnp.repeat(features.tokens, times, axis=0),
        deepstack=jnp.repeat(features.deepstack, times, axis=1),
    )


def _activation_type(params: Params) -> jnp.dtype:
    return params["text"]["embed"]["embedding"].dtype


def _most_likely(model: Qwen3VL, hidden: jax.Array) -> jax.Array:
    """Next tokens, int32 [R], from hidden states [R, 1, D]."""
    return jnp.argmax(model.logits(hidden[:, 0]), axis=-1).astype(jnp.int32)


def _append(state: _State, token: jax.Array, stop_tokens: jax.Array) -> _State:
    """Puts a token, int32 [R], behind every answer that is not done."""
    tokens, counts = state.generated
    generated = Generated(
        tokens.at[:, state.step].set(jnp.where(state.done, 0, token)),
        counts + ~state.done,
    )
    done = state.done | jnp.isin(token, stop_tokens)
    return state._replace(step=state.step + 1, generated=generated, done=done)


def _single_tokens(tokens: jax.Array, positions: jax.Array) -> TextInputs:
    """Rows of one text token each, from its id and M-RoPE position, int32 [R]."""
    column = tokens[:, None]
    return TextInputs(
        tokens=column,
        positions=jnp.broadcast_to(positions[:, None, None], (*column.shape, 3)),
        segment_ids=jnp.ones_like(column),
        question_ids=jnp.zeros_like(column),
        visual_index=jnp.full_like(column, -1),
    )
