"""The keys and values that decoding keeps: a prefix's once, a question's and answer's a row."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import jax
import jax.numpy as jnp

from vlm3_jax.models.qwen3_vl.config import TextConfig


@dataclass(frozen=True)
class Sizes:
    """Fixed shapes of the compiled programs. G groups of devices work on different prompts."""

    groups: int
    """G, data-parallel groups of devices."""
    images: int
    """I, prefixes in flight a group."""
    rows: int
    """Q, questions in flight a prefix."""
    patches: int
    """Of the largest images of a prompt; 0 where no prompt has one."""
    prefix: int
    """P, tokens of the longest prefix."""
    question: int
    """L, tokens of the longest question."""
    answer: int
    """T, tokens of the longest answer."""
    window: int
    """W, tokens that a row reads at most in a step."""
    asked: int
    """F, questions read at a time."""
    branches: int = 0
    """B, tokens a row of a level of the trees beside answers; 0: no trees."""

    @property
    def own(self) -> int:
        """S, tokens that a row keeps."""
        return self.question + self.answer + self.window

    def smaller(self) -> "Sizes":
        """Half the rows, or half the prefixes where a prefix has one row."""
        if self.rows == 1:
            return replace(self, images=self.images // 2)
        return replace(self, rows=self.rows // 2, asked=min(self.asked, self.rows // 2))


class KeyValues(NamedTuple):
    """Keys and values of some tokens."""

    keys: jax.Array
    values: jax.Array


class Cache(NamedTuple):
    """What all prompts and answers in flight left in a layer."""

    shared: KeyValues
    """[G * I, K, P, head_dim]."""
    own: KeyValues
    """Keys [G * I * Q, K, head_dim, S], values [G * I * Q, K, S, head_dim]."""

    @classmethod
    def zeros(cls, config: TextConfig, sizes: Sizes, dtype: jnp.dtype) -> "Cache":
        """An empty one."""
        heads, size = config.num_key_value_heads, config.head_dim
        prefixes = sizes.groups * sizes.images
        shared = prefixes, heads, sizes.prefix, size
        rows = prefixes * sizes.rows, heads
        return cls(
            KeyValues(jnp.zeros(shared, dtype), jnp.zeros(shared, dtype)),
            KeyValues(
                jnp.zeros((*rows, size, sizes.own), dtype),
                jnp.zeros((*rows, sizes.own, size), dtype),
            ),
        )
