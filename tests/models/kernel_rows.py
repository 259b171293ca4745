"""Random rows for attention kernels, and how far a kernel is from the reference on them."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vlm3_jax.models.attention.reference import attention
from vlm3_jax.models.attention.visibility import causal_mask, image_mask


class Rows(NamedTuple):
    """Query, key and value [B, L, heads, head_dim], a cotangent of the output, and the ids."""

    query: jax.Array
    key: jax.Array
    value: jax.Array
    gradient: jax.Array
    segment_ids: np.ndarray
    question_ids: np.ndarray | None


def make_rows(
    segments: Sequence[Sequence[int]],
    length: int,
    *,
    heads: int,
    key_heads: int,
    head_dim: int,
    questions: int = 0,
) -> Rows:
    """Rows of segments of given sizes; with `questions`, two thirds of each are so many of them."""
    rng = np.random.default_rng(0)
    shape = (len(segments), length)
    segment_ids, question_ids = np.zeros((2, *shape), np.int32)
    for row, sizes in enumerate(segments):
        ends = np.cumsum(sizes)
        for k, (end, size) in enumerate(zip(ends, sizes, strict=True)):
            segment_ids[row, end - size : end] = k + 1
            own = np.arange(size - size // 3) * questions // (size - size // 3) + 1
            question_ids[row, end - len(own) : end] = own if questions else 0
    query, key, value, gradient = (
        jnp.asarray(rng.normal(size=(*shape, count, head_dim)), jnp.float32)
        for count in (heads, key_heads, key_heads, heads)
    )
    # Nothing follows from what padding gives.
    gradient = gradient * (segment_ids > 0)[..., None, None]
    return Rows(query, key, value, gradient, segment_ids, question_ids if questions else None)


def worst_difference(
    kernel: Callable[..., jax.Array], rows: Rows, *, causal: bool
) -> dict[str, float]:
    """Of output and gradients, relative to the largest value of each; NaN anywhere is NaN."""
    if causal:
        shared = np.zeros_like(rows.segment_ids)
        questions = shared if rows.question_ids is None else rows.question_ids
        mask = causal_mask(rows.segment_ids, questions)
    else:
        mask = image_mask(rows.segment_ids)
    real = (rows.segment_ids > 0)[..., None, None]

    def expected(query, key, value):
        return attention(query, key, value, mask).reshape(query.shape)

    def found(query, key, value):
        return kernel(query, key, value, rows.segment_ids, rows.question_ids, causal=causal)

    def results(function) -> dict[str, jax.Array]:
        out, backward = jax.vjp(jax.jit(function), *rows[:3])
        gradients = zip(("query", "key", "value"), backward(rows.gradient), strict=True)
        return {"out": jnp.where(real, out, out * 0), **dict(gradients)}

    reference, others = results(expected), results(found)
    return {
        name: float(jnp.max(jnp.abs(others[name] - value)) / jnp.max(jnp.abs(value)))
        for name, value in reference.items()
    }
