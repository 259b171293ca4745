"""One function for the attention of packed rows, with the kernel that the platform runs best."""

from collections.abc import Callable
from functools import partial
from typing import Literal

import jax
from jax.sharding import PartitionSpec

from vlm3_jax.errors import BadInput
from vlm3_jax.models.attention.blocks import block_attention
from vlm3_jax.models.attention.flash import flash_attention
from vlm3_jax.models.attention.reference import attention
from vlm3_jax.models.attention.splash import splash_attention
from vlm3_jax.models.attention.visibility import causal_mask, image_mask
from vlm3_jax.parallel.mesh import BATCH_AXES

Kernel = Literal["reference", "blocks", "splash", "flash"]
"""`reference`: XLA under a dense mask, on any platform; its memory grows with the square of a row.
`blocks`: XLA, some queries and keys at a time, on any platform; fast on CPUs.
`splash` (Pallas for TPUs) and `flash` (Pallas for NVIDIA GPUs) leave out what lies outside of a
sample or an image."""

Attend = Callable[[jax.Array, jax.Array, jax.Array], jax.Array]
"""Query [B, L, H, head_dim], key and value [B, S, K, head_dim] -> [B, L, H * head_dim]."""

# The AOT client of NVIDIA GPUs calls them cuda.
_OF_PLATFORM: dict[str, Kernel] = {
    "cpu": "blocks",
    "tpu": "splash",
    "gpu": "flash",
    "cuda": "flash",
}
_IN_PROGRAM = {"splash": "splash_mha_fwd", "flash": "flash_attention_forward"}


def choose_kernel(wanted: Literal["auto", Kernel], platform: str) -> Kernel:
    """The kernel to use on a platform (`jax.Device.platform`).

    Raises:
        BadInput: the kernel wanted is of another platform.
    """
    meant = _OF_PLATFORM.get(platform, "blocks")
    if wanted not in ("auto", "reference", "blocks", meant):
        raise BadInput(
            f"config.model.attention is {wanted!r}, which does not run on {platform}: use 'auto'"
            f" ({meant!r} there), 'blocks' or 'reference'."
        )
    return meant if wanted == "auto" else wanted


def check_compiled(kernel: Kernel, program: str) -> None:
    """Checks that a compiled program (its HLO text) holds the kernel that it was made with.

    Raises:
        RuntimeError: it does not, and another way to compute attention would run in silence.
    """
    if kernel in _IN_PROGRAM and _IN_PROGRAM[kernel] not in program:
        raise RuntimeError(f"attention kernel {kernel!r} is not in the compiled program")


def row_attention(
    kernel: Kernel,
    segment_ids: jax.Array,
    question_ids: jax.Array | None = None,
    *,
    causal: bool,
    max_segment: int | None = None,
) -> Attend:
    """Attention within the samples, or images, of B rows; for use inside jit.

    Rows and heads are computed where they live: kernels run under `shard_map` if a mesh is set.

    Args:
        kernel: what computes it.
        segment_ids: int32 [B, L]; equal ids lie side by side, 0 is padding.
        question_ids: int32 [B, L] as in `TextInputs`; None where every key of a segment is shared.
        causal: whether a query sees only what comes before it. Questions are only for causal rows.
        max_segment: no segment is longer; lets kernels skip what cannot matter. None: a row.

    Returns:
        The function for every layer of these rows.
    """
    if kernel == "reference":
        mask = causal_mask(segment_ids, question_ids) if causal else image_mask(segment_ids)
        return partial(attention, mask=mask)
    local = {
        "blocks": partial(block_attention, causal=causal),
        "splash": partial(splash_attention, causal=causal, max_segment=max_segment),
        "flash": partial(flash_attention, causal=causal),
    }[kernel]

    def attend(query: jax.Array, key: jax.Array, value: jax.Array) -> jax.Array:
        out = _on_own_rows(local, query, key, value, segment_ids, question_ids)
        return out.reshape(*out.shape[:2], -1)

    return attend


def _on_own_rows(
    local: Callable[..., jax.Array],
    query: jax.Array,
    key: jax.Array,
    value: jax.Array,
    segment_ids: jax.Array,
    question_ids: jax.Array | None,
) -> jax.Array:
    mesh = jax.sharding.get_abstract_mesh()
    if mesh.empty:
        return local(query, key, value, segment_ids, question_ids)
    split_heads = key.shape[2] % mesh.shape["tensor"] == 0
    heads = PartitionSpec(BATCH_AXES, None, "tensor" if split_heads else None)
    rows = PartitionSpec(BATCH_AXES)
    mapped = jax.shard_map(
        local,
        in_specs=(heads, heads, heads, rows, rows),
        out_specs=heads,
        check_vma=False,  # Kernels do not say over which axes their results vary.
    )
    return mapped(query, key, value, segment_ids, question_ids)
