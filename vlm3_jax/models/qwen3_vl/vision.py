"""The vision tower of Qwen3-VL (reference: `Qwen3VLVisionModel` of `transformers`)."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from vlm3_jax.models import rope
from vlm3_jax.models.attention.kernels import Attend, row_attention
from vlm3_jax.models.execution import Execution
from vlm3_jax.models.inputs import ImageInputs
from vlm3_jax.models.linear import MakeLinear, make_linear
from vlm3_jax.models.qwen3_vl.config import VisionConfig
from vlm3_jax.models.stack import run_layers, stacked
from vlm3_jax.parallel.sharding import shard_rows

_layer_norm = partial(nnx.LayerNorm, epsilon=1e-6, use_fast_variance=False)


class VisualFeatures(NamedTuple):
    """What the language model gets of a row's images; V = P / merge^2 merged tokens."""

    tokens: jax.Array
    """[B, V, D]: stand in for the image placeholders."""
    deepstack: jax.Array
    """[n, B, V, D]: added at the same places after the first n language layers."""


class VisionTower(nnx.Module):
    """ViT over patches of images of any size, with 2-D rotary positions and DeepStack taps."""

    def __init__(self, config: VisionConfig, *, execution: Execution, rngs: nnx.Rngs):
        self.config = config
        self.execution = execution
        width = config.hidden_size
        patch_dim = config.in_channels * config.temporal_patch_size * config.patch_size**2
        self.patch_embed = nnx.Linear(patch_dim, width, rngs=rngs)
        self.pos_embed = nnx.Embed(config.num_position_embeddings, width, rngs=rngs)
        linear = make_linear(execution)
        self.blocks = stacked(lambda r: VisionBlock(config, linear, rngs=r), config.depth, rngs)
        self.merger = PatchMerger(config, linear, norm_after_merge=False, rngs=rngs)
        self.deepstack_mergers = stacked(
            lambda r: PatchMerger(config, linear, norm_after_merge=True, rngs=r),
            len(config.deepstack_visual_indexes),
            rngs,
        )

    def __call__(self, images: ImageInputs) -> VisualFeatures:
        """Encodes the images of B rows."""
        return self.features(*self.run_blocks(self.embed(images), images)[:2])

    def embed(self, images: ImageInputs) -> jax.Array:
        """Patch embeddings plus interpolated learned positions, [B, P, D]."""
        c = self.config
        kernel, bias = self.patch_embed.kernel[...], self.patch_embed.bias[...]
        # An image is its own next frame: one product with the sum of the frames' kernels serves.
        kernel = kernel.reshape(c.in_channels, c.temporal_patch_size, c.patch_size**2, -1)
        kernel = kernel.sum(axis=1).reshape(c.in_channels * c.patch_size**2, -1)
        pixels = normalize(images.patches, c).astype(kernel.dtype)
        table = self.pos_embed.embedding[...]
        # Tap by tap, so that the four gathered copies of the table never stand side by side.
        learned = sum(
            table[images.interp_indices[..., tap]] * images.interp_weights[..., tap, None]
            for tap in range(4)
        )
        return pixels @ kernel + bias + learned.astype(kernel.dtype)

    def run_blocks(
        self, x: jax.Array, images: ImageInputs, collect: bool = False
    ) -> tuple[jax.Array, jax.Array, jax.Array | None]:
        """Runs the transformer blocks.

        Args:
            x: [B, P, D].
            images: the inputs, for positions and segments.
            collect: whether to return the output of every block too.

        Returns:
            Last hidden state [B, P, D], the n tapped ones [n, B, P, D], and all of them
            [depth, B, P, D] or None.
        """
        c = self.config
        head_dim = c.hidden_size // c.num_heads
        angles = rope.axial_angles(images.positions, head_dim, c.rope_theta)
        attend = row_attention(
            self.execution.attention,
            images.segment_ids,
            causal=False,
            max_segment=self.execution.max_image_patches,
        )
        num_taps = len(c.deepstack_visual_indexes)
        # Blocks that are not tapped write to slot `num_taps`, which does not exist.
        tap_slot = np.full(c.depth, num_taps)
        tap_slot[list(c.deepstack_visual_indexes)] = np.arange(num_taps)

        def step(block, carry, index):
            x, taps = carry
            x = block(x, angles, attend)
            taps = taps.at[jnp.asarray(tap_slot)[index]].set(x, mode="drop")
            return (x, taps), (x if collect else None)

        taps = jnp.zeros((num_taps, *x.shape), x.dtype)
        (x, taps), every = run_layers(self.blocks, step, (x, taps), self.execution.remat.vision)
        return x, taps, every

    def features(self, x: jax.Array, taps: jax.Array) -> VisualFeatures:
        """Merges patches into language tokens.

        Args:
            x: last hidden state [B, P, D].
            taps: [n, B, P, D].
        """
        deepstack = nnx.vmap(lambda merger, tap: merger(tap))(self.deepstack_mergers, taps)
        return VisualFeatures(tokens=self.merger(x), deepstack=deepstack)


class VisionBlock(nnx.Module):
    """Pre-norm transformer block; attention stays within an image."""

    def __init__(self, config: VisionConfig, linear: MakeLinear, *, rngs: nnx.Rngs):
        self.norm1 = _layer_norm(config.hidden_size, rngs=rngs)
        self.attn = VisionAttention(config, linear, rngs=rngs)
        self.norm2 = _layer_norm(config.hidden_size, rngs=rngs)
        self.mlp = VisionMLP(config, linear, rngs=rngs)

    def __call__(self, x: jax.Array, angles: jax.Array, attend: Attend) -> jax.Array:
        """[B, P, D] -> [B, P, D]."""
        x = shard_rows(x)
        x = x + self.attn(self.norm1(x), angles, attend)
        return x + self.mlp(self.norm2(x))


class VisionAttention(nnx.Module):
    """Bidirectional attention with one fused projection."""

    def __init__(self, config: VisionConfig, linear: MakeLinear, *, rngs: nnx.Rngs):
        self.num_heads = config.num_heads
        self.qkv = linear(config.hidden_size, 3 * config.hidden_size, rngs=rngs)
        self.proj = linear(config.hidden_size, config.hidden_size, rngs=rngs)

    def __call__(self, x: jax.Array, angles: jax.Array, attend: Attend) -> jax.Array:
        """[B, P, D] -> [B, P, D]."""
        qkv = self.qkv(x).reshape(*x.shape[:2], 3, self.num_heads, -1)
        query, key, value = (qkv[:, :, i] for i in range(3))
        query, key = rope.rotate(query, angles), rope.rotate(key, angles)
        return self.proj(attend(query, key, value))


class VisionMLP(nnx.Module):
    """Two layers with the tanh form of GELU."""

    def __init__(self, config: VisionConfig, linear: MakeLinear, *, rngs: nnx.Rngs):
        self.fc1 = linear(config.hidden_size, config.intermediate_size, rngs=rngs)
        self.fc2 = linear(config.intermediate_size, config.hidden_size, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """[..., D] -> [..., D]."""
        return self.fc2(jax.nn.gelu(self.fc1(x), approximate=True))


class PatchMerger(nnx.Module):
    """Turns merge^2 successive patches into one language token, with the exact GELU."""

    def __init__(
        self, config: VisionConfig, linear: MakeLinear, *, norm_after_merge: bool, rngs: nnx.Rngs
    ):
        self.merged_size = config.hidden_size * config.spatial_merge_size**2
        self.norm_after_merge = norm_after_merge
        norm_size = self.merged_size if norm_after_merge else config.hidden_size
        self.norm = _layer_norm(norm_size, rngs=rngs)
        self.fc1 = linear(self.merged_size, self.merged_size, rngs=rngs)
        self.fc2 = linear(self.merged_size, config.out_hidden_size, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """[B, P, D] -> [B, P / merge^2, D of the language model]."""
        x = shard_rows(x)
        if self.norm_after_merge:
            x = self.norm(x.reshape(x.shape[0], -1, self.merged_size))
        else:
            x = self.norm(x).reshape(x.shape[0], -1, self.merged_size)
        return self.fc2(jax.nn.gelu(self.fc1(x), approximate=False))


def normalize(patches: jax.Array, config: VisionConfig) -> jax.Array:
    """Maps uint8 pixels [..., C*p*p] to normalised float32 ones."""
    channels = patches.reshape(*patches.shape[:-1], config.in_channels, -1).astype(jnp.float32)
    mean = jnp.asarray(config.image_mean, jnp.float32)[:, None]
    std = jnp.asarray(config.image_std, jnp.float32)[:, None]
    return ((channels / 255.0 - mean) / std).reshape(patches.shape)
