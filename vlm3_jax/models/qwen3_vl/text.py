"""The language model of Qwen3-VL (reference: `Qwen3VLTextModel` of `transformers`)."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from vlm3_jax.models import rope
from vlm3_jax.models.attention.kernels import Attend
from vlm3_jax.models.qwen3_vl.config import TextConfig
from vlm3_jax.models.stack import RematPolicy, scan_layers, stacked
from vlm3_jax.parallel.sharding import shard_rows


class KVCache(NamedTuple):
    """Keys and values of all layers, [layers, B, S, K, head_dim] each; S slots a row."""

    keys: jax.Array
    values: jax.Array

    @classmethod
    def zeros(cls, config: TextConfig, batch: int, slots: int, dtype: jnp.dtype) -> "KVCache":
        """An empty cache for `batch` rows of `slots` tokens."""
        heads = config.num_key_value_heads
        shape = (config.num_hidden_layers, batch, slots, heads, config.head_dim)
        return cls(jnp.zeros(shape, dtype), jnp.zeros(shape, dtype))

    def write(
        self, layer: jax.Array, slots: jax.Array, keys: jax.Array, values: jax.Array
    ) -> "KVCache":
        """Puts the keys and values of L tokens, [B, L, K, head_dim], at `slots` int32 [B, L]."""
        rows = jnp.arange(slots.shape[0])[:, None]
        return KVCache(
            self.keys.at[layer, rows, slots].set(keys.astype(self.keys.dtype)),
            self.values.at[layer, rows, slots].set(values.astype(self.values.dtype)),
        )


class Visual(NamedTuple):
    """Visual features spread over the token positions of a row."""

    deepstack: jax.Array
    """[n, B, V, D]."""
    index: jax.Array
    """int32 [B, L]: the visual token at each position, -1 for text."""

    def add(self, x: jax.Array, layer: jax.Array) -> jax.Array:
        """Adds the DeepStack features that follow `layer` to x [B, L, D]."""
        count = self.deepstack.shape[0]
        if count == 0:
            return x
        features = self.deepstack[jnp.minimum(layer, count - 1)]
        return jax.lax.cond(layer < count, lambda: x + scatter(features, self.index), lambda: x)


class LanguageModel(nnx.Module):
    """Decoder with grouped-query attention, q/k norm, interleaved M-RoPE and DeepStack inputs."""

    def __init__(self, config: TextConfig, *, remat: RematPolicy, rngs: nnx.Rngs):
        self.config = config
        self.remat = remat
        self.embed = nnx.Embed(config.vocab_size, config.hidden_size, rngs=rngs)
        self.layers = stacked(
            lambda r: DecoderLayer(config, rngs=r), config.num_hidden_layers, rngs
        )
        self.norm = _rms_norm(config, config.hidden_size, rngs=rngs)

    def __call__(
        self,
        x: jax.Array,
        positions: jax.Array,
        attend: Attend,
        visual: Visual | None = None,
        cache: KVCache | None = None,
        slots: jax.Array | None = None,
        collect: bool = False,
    ) -> tuple[jax.Array, KVCache | None, jax.Array | None]:
        """Runs the decoder over embedded tokens.

        Args:
            x: [B, L, D].
            positions: int32 [B, L, 3], M-RoPE.
            attend: attention of these tokens over the keys; those of the cache, where there is one.
            visual: DeepStack features and where they go.
            cache: where keys and values are kept; attention then runs over all its slots.
            slots: int32 [B, L], the cache slots of these tokens.
            collect: whether to return the output of every layer too.

        Returns:
            Hidden state after the final norm [B, L, D], the cache, all layers' outputs
            [layers, B, L, D] or None.
        """
        c = self.config
        angles = rope.mrope_angles(positions, c.head_dim, c.rope_theta, c.mrope_section)

        def step(layer, carry, index):
            x, cache = carry
            x, cache = layer(x, angles, attend, index, cache, slots)
            if visual is not None:
                x = visual.add(x, index)
            return (x, cache), (x if collect else None)

        (x, cache), every = scan_layers(self.layers, step, (x, cache), self.remat)
        return self.norm(x), cache, every


class DecoderLayer(nnx.Module):
    """Pre-norm attention and gated MLP."""

    def __init__(self, config: TextConfig, *, rngs: nnx.Rngs):
        self.input_norm = _rms_norm(config, config.hidden_size, rngs=rngs)
        self.attn = TextAttention(config, rngs=rngs)
        self.post_attention_norm = _rms_norm(config, config.hidden_size, rngs=rngs)
        self.mlp = GatedMLP(config, rngs=rngs)

    def __call__(
        self,
        x: jax.Array,
        angles: jax.Array,
        attend: Attend,
        index: jax.Array,
        cache: KVCache | None,
        slots: jax.Array | None,
    ) -> tuple[jax.Array, KVCache | None]:
        """[B, L, D] -> [B, L, D] and the cache."""
        x = shard_rows(x)
        attended, cache = self.attn(self.input_norm(x), angles, attend, index, cache, slots)
        x = x + attended
        return x + self.mlp(self.post_attention_norm(x)), cache


class TextAttention(nnx.Module):
    """Grouped-query attention; queries and keys are normalised a head before rotation."""

    def __init__(self, config: TextConfig, *, rngs: nnx.Rngs):
        self.head_dim = config.head_dim
        linear = partial(nnx.Linear, use_bias=config.attention_bias, rngs=rngs)
        query_size = config.num_attention_heads * config.head_dim
        key_size = config.num_key_value_heads * config.head_dim
        self.q_proj = linear(config.hidden_size, query_size)
        self.k_proj = linear(config.hidden_size, key_size)
        self.v_proj = linear(config.hidden_size, key_size)
        self.o_proj = linear(query_size, config.hidden_size)
        self.q_norm = _rms_norm(config, config.head_dim, rngs=rngs)
        self.k_norm = _rms_norm(config, config.head_dim, rngs=rngs)

    def __call__(
        self,
        x: jax.Array,
        angles: jax.Array,
        attend: Attend,
        index: jax.Array,
        cache: KVCache | None,
        slots: jax.Array | None,
    ) -> tuple[jax.Array, KVCache | None]:
        """[B, L, D] -> [B, L, D] and the cache."""
        heads = (*x.shape[:2], -1, self.head_dim)
        query = rope.rotate(self.q_norm(self.q_proj(x).reshape(heads)), angles)
        key = rope.rotate(self.k_norm(self.k_proj(x).reshape(heads)), angles)
        value = self.v_proj(x).reshape(heads)
        if cache is not None:
            cache = cache.write(index, slots, key, value)
            key, value = cache.keys[index].astype(x.dtype), cache.values[index].astype(x.dtype)
        return self.o_proj(attend(query, key, value)), cache


class GatedMLP(nnx.Module):
    """SwiGLU."""

    def __init__(self, config: TextConfig, *, rngs: nnx.Rngs):
        linear = partial(nnx.Linear, use_bias=False, rngs=rngs)
        self.gate_proj = linear(config.hidden_size, config.intermediate_size)
        self.up_proj = linear(config.hidden_size, config.intermediate_size)
        self.down_proj = linear(config.intermediate_size, config.hidden_size)

    def __call__(self, x: jax.Array) -> jax.Array:
        """[..., D] -> [..., D]."""
        return self.down_proj(jax.nn.silu(self.gate_proj(x)) * self.up_proj(x))


def scatter(features: jax.Array, index: jax.Array) -> jax.Array:
    """Visual tokens at the positions of a row, zeros elsewhere.

    Args:
        features: [B, V, D].
        index: int32 [B, L], -1 for none.

    Returns:
        [B, L, D].
    """
    taken = jnp.take_along_axis(features, jnp.maximum(index, 0)[..., None], axis=1)
    return jnp.where(index[..., None] >= 0, taken, 0)


def _rms_norm(config: TextConfig, size: int, rngs: nnx.Rngs) -> nnx.RMSNorm:
    return nnx.RMSNorm(size, epsilon=config.rms_norm_eps, rngs=rngs)
