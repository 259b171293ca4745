"""Qwen3-VL: images and text in, hidden states and logits out."""

import jax
import jax.numpy as jnp
from flax import nnx

from vlm3_jax.models.attention.kernels import row_attention
from vlm3_jax.models.execution import PLAIN, Execution
from vlm3_jax.models.inputs import ImageInputs, TextInputs
from vlm3_jax.models.qwen3_vl.config import Qwen3VLConfig
from vlm3_jax.models.qwen3_vl.text import (
    Cache,
    CachedAttend,
    LanguageModel,
    Visual,
    scatter,
    without_cache,
)
from vlm3_jax.models.qwen3_vl.vision import VisionTower, VisualFeatures
from vlm3_jax.parallel.sharding import embed_rows


class Qwen3VL(nnx.Module):
    """A dense Qwen3-VL model.

    It computes in the type of its parameters, with norms, rotary angles, softmax and logits in
    float32; for mixed precision, cast the parameters first.
    """

    def __init__(self, config: Qwen3VLConfig, *, execution: Execution = PLAIN, rngs: nnx.Rngs):
        self.config = config
        self.execution = execution
        self.vision = VisionTower(config.vision, execution=execution, rngs=rngs)
        self.text = LanguageModel(config.text, execution=execution, rngs=rngs)
        if not config.tie_word_embeddings:
            self.lm_head = nnx.Linear(
                config.text.hidden_size, config.text.vocab_size, use_bias=False, rngs=rngs
            )

    def __call__(self, text: TextInputs, images: ImageInputs | None) -> jax.Array:
        """Hidden states after the final norm, [B, L, D]."""
        features = None if images is None else self.encode_images(images)
        attend = row_attention(
            self.execution.attention,
            text.segment_ids,
            text.question_ids,
            causal=True,
            max_segment=self.execution.max_sample_tokens,
        )
        return self.hidden(text, features, without_cache(attend))[0]

    def encode_images(self, images: ImageInputs) -> VisualFeatures:
        """Features of the images of every row."""
        return self.vision(images)

    def hidden(
        self,
        text: TextInputs,
        features: VisualFeatures | None,
        attend: CachedAttend,
        cache: Cache = None,
    ) -> tuple[jax.Array, Cache]:
        """Runs the language model.

        Args:
            text: B rows of L tokens.
            features: of the rows' images; None where no row has one.
            attend: attention of every layer.
            cache: what it keeps.

        Returns:
            Hidden states after the final norm [B, L, D] and the cache.
        """
        visual = None if features is None else Visual(features.deepstack, text.visual_index)
        x = self.embed(text, features)
        x, cache, _ = self.text(x, text.positions, attend, visual, cache)
        return x, cache

    def embed(self, text: TextInputs, features: VisualFeatures | None) -> jax.Array:
        """Token embeddings with the visual tokens in their places, [B, L, D]."""
        # Not by calling the layer, which would convert to the type that it was made with.
        x = embed_rows(jnp.take(self.text.embed.embedding[...], text.tokens, axis=0))
        if features is None:
            return x
        visual = scatter(features.tokens, text.visual_index)
        return jnp.where(text.visual_index[..., None] >= 0, visual, x)

    def logits(self, hidden: jax.Array) -> jax.Array:
        """float32 [..., vocabulary] from hidden states [..., D]."""
        return jnp.matmul(hidden, self.head(), preferred_element_type=jnp.float32)

    def head(self) -> jax.Array:
        """The matrix [D, vocabulary] that makes logits of hidden states."""
        if self.config.tie_word_embeddings:
            return self.text.embed.embedding[...].T
        return self.lm_head.kernel[...]
