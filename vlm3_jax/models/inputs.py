"""The arrays that one compiled program sees.

Everything that depends on an image's grid is worked out on the host, so every shape is a budget
from the configuration and no shape depends on an image. The tuples hold NumPy arrays on the host
and JAX arrays on the device. Letters: B rows, L tokens, P patches, C channels, p patch size.
"""

from typing import Any, NamedTuple

Array = Any  # numpy.ndarray on the host, jax.Array on the device.


class TextInputs(NamedTuple):
    """The tokens of B rows, padded to L.

    Token i attends to token j <= i when both have the same segment id and token j is shared
    (question id 0) or belongs to the question of token i.
    """

    tokens: Array
    """int32 [B, L]."""
    positions: Array
    """int32 [B, L, 3]: M-RoPE positions (time, height, width)."""
    segment_ids: Array
    """int32 [B, L]: 0 is padding, k the k-th sample of the row."""
    question_ids: Array
    """int32 [B, L]: 0 is seen by every question of the sample, k only by question k."""
    visual_index: Array
    """int32 [B, L]: the merged visual token that stands here, -1 for a text token."""


class ImageInputs(NamedTuple):
    """The patches of all images of B rows, image after image, padded to P."""

    patches: Array
    """uint8 [B, P, C*p*p]: pixels (channel, y, x) of the patches, in merge-block order."""
    segment_ids: Array
    """int32 [B, P]: 0 is padding, k the k-th image of the row."""
    positions: Array
    """int32 [B, P, 2]: row and column of the patch in its image."""
    interp_indices: Array
    """int32 [B, P, 4]: entries of the learned position table."""
    interp_weights: Array
    """float32 [B, P, 4]: their bilinear weights."""


class Batch(NamedTuple):
    """Training rows: inputs and what every position must predict."""

    text: TextInputs
    images: ImageInputs
    targets: Array
    """int32 [B, L]: the token that position i must predict."""
    loss_weights: Array
    """float32 [B, L]: 1 where the target is an answer token, else 0."""
    source_ids: Array
    """int32 [B, L]: which source of the mixture, from 0, the token's sample is of; the model does
    not see it."""
