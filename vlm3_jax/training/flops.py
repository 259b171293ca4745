"""Floating-point operations that the model needs: of a training step, for the MFU, and of parts."""

import jax
import jax.numpy as jnp

from vlm3_jax.models.inputs import Batch
from vlm3_jax.models.qwen3_vl.config import Qwen3VLConfig, TextConfig, VisionConfig

_PEAK_BF16 = {
    "NVIDIA A100-SXM4-40GB": 312e12,
    "NVIDIA A100-SXM4-80GB": 312e12,
    "NVIDIA H100 80GB HBM3": 989e12,
    "NVIDIA H200": 989e12,
    "TPU v4": 275e12,
    "TPU v5 lite": 197e12,
    "TPU v5": 459e12,
    "TPU v6 lite": 918e12,
}


def peak_flops(device: jax.Device) -> float | None:
    """Dense bfloat16 peak of a device in FLOP/s, as its maker states it; None where not known."""
    return _PEAK_BF16.get(device.device_kind)


def training_flops(config: Qwen3VLConfig, batch: Batch) -> jax.Array:
    """FLOPs that the forward and backward pass of a batch need; traceable, a float32 scalar.

    Counted are matrix products (2 FLOPs a multiply-add) of real tokens and patches, attention
    within an image and causally within a sample, and logits of supervised positions only. The
    backward pass costs twice the forward. Padding, recomputation and other logits do not count.
    """
    patches, image_pairs = _sizes(batch.images.segment_ids)
    tokens, sample_pairs = _sizes(batch.text.segment_ids)
    supervised = jnp.sum(batch.loss_weights > 0)
    text = config.text
    forward = (
        patches * flops_per_patch(config.vision)
        + image_pairs * flops_per_patch_pair(config.vision)
        + tokens * flops_per_token(text)
        + sample_pairs / 2 * flops_per_token_pair(text)
        + supervised * flops_per_logits(text)
    )
    return 3 * forward


def _sizes(segment_ids: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Number of tokens in all segments, and the sum of the squares of the segments' sizes."""
    length = segment_ids.shape[-1] + 1
    sizes = jax.vmap(lambda ids: jnp.bincount(ids, length=length))(segment_ids)
    sizes = sizes[:, 1:].astype(jnp.float32)
    return jnp.sum(sizes), jnp.sum(sizes**2)


def flops_per_patch(config: VisionConfig) -> float:
    """Of a patch's way through the vision tower and its mergers, without attention scores."""
    width, merged = config.hidden_size, config.hidden_size * config.spatial_merge_size**2
    embed = config.in_channels * config.temporal_patch_size * config.patch_size**2 * width
    blocks = config.depth * (4 * width**2 + 2 * width * config.intermediate_size)
    mergers = 1 + len(config.deepstack_visual_indexes)
    merging = mergers * (merged**2 + merged * config.out_hidden_size) / config.spatial_merge_size**2
    return 2.0 * (embed + blocks + merging)


def flops_per_patch_pair(config: VisionConfig) -> float:
    """Of a patch's attention to a patch: its score, and the weighted value."""
    return 4.0 * config.depth * config.hidden_size


def flops_per_token(config: TextConfig) -> float:
    """Of a token's way through the decoder layers, without attention scores and the head."""
    heads = 2 * config.num_attention_heads + 2 * config.num_key_value_heads
    attention = config.hidden_size * config.head_dim * heads
    mlp = 3 * config.hidden_size * config.intermediate_size
    return 2.0 * config.num_hidden_layers * (attention + mlp)


def flops_per_token_pair(config: TextConfig) -> float:
    """Of a token's attention to a token: its score, and the weighted value."""
    return 4.0 * config.num_hidden_layers * config.num_attention_heads * config.head_dim


def flops_per_logits(config: TextConfig) -> float:
    """Of the head at one position."""
    return 2.0 * config.hidden_size * config.vocab_size
