"""How a model is computed; its results depend on it only by rounding."""

from dataclasses import dataclass

from vlm3_jax.models.attention.kernels import Kernel
from vlm3_jax.models.stack import NO_REMAT, Remat


@dataclass(frozen=True)
class Execution:
    """Choices that the model's own configuration does not make."""

    remat: Remat = NO_REMAT
    """What the backward pass computes again."""
    attention: Kernel = "reference"
    """What computes the attention of rows."""
    max_sample_tokens: int | None = None
    """No sample of a row is longer; None: a row. Attention kernels rely on it."""
    max_image_patches: int | None = None
    """No image of a row has more patches; None: a row. Attention kernels rely on it."""
    flat_products: bool = False
    """Whether products with parameters take the tokens of all rows as one matrix, with gradients
    that XLA for CPUs computes without transposing activations; see `linear.flat_product`."""
    recompute_activation: bool = False
    """Whether the backward pass of the language model's MLPs computes their activation again, which
    needs no product, rather than keep what it is made of; `remat` goes further. CPUs do that faster
    than they write and read it."""
    unroll: bool = False
    """Whether the language model's layers are stored and compiled one by one instead of as a stack;
    see `functional.unstack`. A step of decoding then reads their parameters where they are."""


PLAIN = Execution()
