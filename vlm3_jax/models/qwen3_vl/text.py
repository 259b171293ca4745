"""The language model of Qwen3-VL (reference: `Qwen3VLTextModel` of `transformers`)."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from vlm3_jax.models import rope
from vlm3_jax.models.attention.kernels import Attend
from vlm3_jax.models.execution import Execution
from vlm3_jax.models.linear import MakeLinear, make_linear
from vlm3_jax.models.qwen3_vl.config import TextConfig
from vlm3_jax.models.stack import run_layers, stacked, unrolled
from vlm3_jax.parallel.sharding import shard_rows

Cache = Any
"""Whatever an attention function keeps from layer to layer; None in training."""

CachedAttend = Callable[
    [jax.Array, jax.Array, jax.Array, jax.Array | int, Cache], tuple[jax.Array, Cache]
]
"""Query [B, L, H, head_dim], key and value [B, L, K, head_dim], the layer's number, the cache
-> [B, L, H * head_dim] and the cache."""


def without_cache(attend: Attend) -> CachedAttend:
    """Attention of tokens over their own keys alone."""
    return lambda query, key, value, layer, cache: (attend(query, key, value), cache)


class Visual(NamedTuple):
    """Visual features spread over the token positions of a row."""

    deepstack: jax.Array
    """[n, B, V, D]."""
    index: jax.Array
    """int32 [B, L]: the visual token at each position, -1 for text."""

    def add(self, x: jax.Array, layer: jax.Array | int) -> jax.Array:
        """Adds the DeepStack features that follow `layer` to x [B, L, D]."""
        count = self.deepstack.shape[0]
        if count == 0:
            return x
        features = self.deepstack[jnp.minimum(layer, count - 1)]
        return jax.lax.cond(layer < count, lambda: x + scatter(features, self.index), lambda: x)


class LanguageModel(nnx.Module):
    """Decoder with grouped-query attention, q/k norm, interleaved M-RoPE and DeepStack inputs."""

    def __init__(self, config: TextConfig, *, execution: Execution, rngs: nnx.Rngs):
        self.config = config
        self.remat = execution.remat.text
        self.embed = nnx.Embed(config.vocab_size, config.hidden_size, rngs=rngs)
        make_layers = unrolled if execution.unroll else stacked
        self.layers = make_layers(
            lambda r: DecoderLayer(config, execution, rngs=r), config.num_hidden_layers, rngs
        )
        self.norm = _rms_norm(config, config.hidden_size, rngs=rngs)

    def __call__(
        self,
        x: jax.Array,
        positions: jax.Array,
        attend: CachedAttend,
        visual: Visual | None = None,
        cache: Cache = None,
        collect: bool = False,
    ) -> tuple[jax.Array, Cache, jax.Array | None]:
        """Runs the decoder over embedded tokens.

        Args:
            x: [B, L, D].
            positions: int32 [B, L, 3], M-RoPE.
            attend: attention of these tokens, over their own keys and whatever it keeps in `cache`.
            visual: DeepStack features and where they go.
            cache: goes through the attention of every layer.
            collect: whether to return the output of every layer too.

        Returns:
            Hidden state after the final norm [B, L, D], the cache, all layers' outputs
            [layers, B, L, D] or None.
        """
        c = self.config
        angles = rope.mrope_angles(positions, c.head_dim, c.rope_theta, c.mrope_section)

        def step(layer, carry, index):
            x, cache = carry
            x, cache = layer(x, angles, attend, index, cache)
            if visual is not None:
                x = visual.add(x, index)
            return (x, cache), (x if collect else None)

        (x, cache), every = run_layers(self.layers, step, (x, cache), self.remat)
        return self.norm(x), cache, every


class DecoderLayer(nnx.Module):
    """Pre-norm attention and gated MLP."""

    def __init__(self, config: TextConfig, execution: Execution, *, rngs: nnx.Rngs):
        self.input_norm = _rms_norm(config, config.hidden_size, rngs=rngs)
        self.attn = TextAttention(config, make_linear(execution), rngs=rngs)
        self.post_attention_norm = _rms_norm(config, config.hidden_size, rngs=rngs)
        self.mlp = GatedMLP(config, execution, rngs=rngs)

    def __call__(
        self,
        x: jax.Array,
        angles: jax.Array,
        attend: CachedAttend,
        index: jax.Array | int,
        cache: Cache,
    ) -> tuple[jax.Array, Cache]:
        """[B, L, D] -> [B, L, D] and the cache."""
        x = shard_rows(x)
        attended, cache = self.attn(self.input_norm(x), angles, attend, index, cache)
        x = x + attended
        return x + self.mlp(self.post_attention_norm(x)), cache


class TextAttention(nnx.Module):
    """Grouped-query attention; queries and keys are normalised a head before rotation."""

    def __init__(self, config: TextConfig, linear: MakeLinear, *, rngs: nnx.Rngs):
        self.head_dim = config.head_dim
        linear = partial(linear, use_bias=config.attention_bias, rngs=rngs)
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
        attend: CachedAttend,
        index: jax.Array | int,
        cache: Cache,
    ) -> tuple[jax.Array, Cache]:
        """[B, L, D] -> [B, L, D] and the cache."""
        heads = (*x.shape[:2], -1, self.head_dim)
        query = rope.rotate(self.q_norm(self.q_proj(x).reshape(heads)), angles)
        key = rope.rotate(self.k_norm(self.k_proj(x).reshape(heads)), angles)
        value = self.v_proj(x).reshape(heads)
        attended, cache = attend(query, key, value, index, cache)
        return self.o_proj(attended), cache


class GatedMLP(nnx.Module):
    """SwiGLU."""

    def __init__(self, config: TextConfig, execution: Execution, *, rngs: nnx.Rngs):
        self.activate = _gate_again if execution.recompute_activation else _gate
        linear = partial(make_linear(execution), use_bias=False, rngs=rngs)
        self.gate_proj = linear(config.hidden_size, config.intermediate_size)
        self.up_proj = linear(config.hidden_size, config.intermediate_size)
        self.down_proj = linear(config.intermediate_size, config.hidden_size)

    def __call__(self, x: jax.Array) -> jax.Array:
        """[..., D] -> [..., D]."""
        return self.down_proj(self.activate(self.gate_proj(x), self.up_proj(x)))


def _gate(gate: jax.Array, x: jax.Array) -> jax.Array:
    return jax.nn.silu(gate) * x


# Layers run in a scan, or without a gradient: there nothing is merged with the forward pass.
_gate_again = partial(jax.checkpoint, prevent_cse=False)(_gate)


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
