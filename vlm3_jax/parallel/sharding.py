"""Where arrays live on the mesh: one short table for parameters, one rule for batches."""

import math
import re
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from vlm3_jax.parallel.mesh import BATCH_AXES

# Pattern of a parameter's path -> mesh axes of its trailing dimensions; leading ones (stacked
# layers) stay whole. Tensor parallelism splits the output features of the first matrix of a pair
# and the input features of the second, so a block needs one reduction. The vision tower's fused qkv
# would be cut across q, k and v; its attention is small, so its matrices are only stored in pieces.
RULES: tuple[tuple[str, tuple], ...] = (
    (r"text/embed/embedding", ("tensor", "fsdp")),
    (r"(q_proj|k_proj|v_proj|gate_proj|up_proj|fc1|lm_head)/kernel", ("fsdp", "tensor")),
    (r"(o_proj|down_proj|fc2)/kernel", ("tensor", "fsdp")),
    (r"attn/(qkv|proj)/kernel", (("fsdp", "tensor"), None)),
    (r"patch_embed/kernel|pos_embed/embedding", (("fsdp", "tensor"), None)),
    (r"scale|bias", ()),
)


def param_shardings(params: Any, mesh: Mesh) -> Any:
    """The `NamedSharding` of every parameter.

    Args:
        params: nested dict of arrays or `jax.ShapeDtypeStruct`; or the optimizer's moments, whose
            trees repeat the parameters' paths.
        mesh: from `make_mesh`.

    Returns:
        The same tree of shardings. A dimension that its mesh axes do not divide stays whole.
    """

    def sharding(path: tuple, leaf: Any) -> NamedSharding:
        return NamedSharding(mesh, _spec(_path_name(path), leaf.shape, mesh))

    return jax.tree.map_with_path(sharding, params)


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """Rows are split over replica and fsdp; every other dimension stays whole."""
    return NamedSharding(mesh, PartitionSpec(BATCH_AXES))


def place_rows(local: Any, mesh: Mesh, count: int) -> Any:
    """Puts a tree of NumPy arrays, this process's share of `count` rows, on the devices.

    Returns:
        The same tree of global arrays. The copies go on while the host does something else.
    """

    def place(array: np.ndarray) -> jax.Array:
        shape = (count, *array.shape[1:])
        return jax.make_array_from_process_local_data(batch_sharding(mesh), array, shape)

    return jax.tree.map(place, local)


def replicated(mesh: Mesh) -> NamedSharding:
    """The whole array on every device."""
    return NamedSharding(mesh, PartitionSpec())


def _path_name(path: tuple) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")


def _spec(name: str, shape: tuple[int, ...], mesh: Mesh) -> PartitionSpec:
    if not shape:
        return PartitionSpec()
    axes = _axes(name)
    whole = (None,) * (len(shape) - len(axes))
    pairs = zip(axes, shape[len(whole) :], strict=True)
    return PartitionSpec(*whole, *(a if size % _ways(a, mesh) == 0 else None for a, size in pairs))


def _axes(name: str) -> tuple:
    for pattern, axes in RULES:
        if re.search(rf"(^|/)({pattern})$", name):
            return axes
    raise ValueError(f"no sharding rule matches parameter {name!r}")


def _ways(axes: str | tuple[str, ...] | None, mesh: Mesh) -> int:
    names = (axes,) if isinstance(axes, str) else axes or ()
    return math.prod(mesh.shape[name] for name in names)


def shard_rows(x: jax.Array) -> jax.Array:
    """Keeps the rows (first axis) of an activation split over replica and fsdp; for use inside jit.

    Without it XLA may gather the activations of all rows to every device instead of the parameters
    of one layer. It does nothing where no mesh is set (`jax.set_mesh`).
    """
    if jax.sharding.get_abstract_mesh().empty:
        return x
    return jax.lax.with_sharding_constraint(x, PartitionSpec(BATCH_AXES))


def embed_rows(x: jax.Array) -> jax.Array:
    """As `shard_rows`, for embeddings [B, L, D] just looked up in a table split over its features.

    Every device looks up its features for the rows of its replica, and those are exchanged. Left to
    itself, XLA for GPUs gathers the rows of all replicas on every device.
    """
    if jax.sharding.get_abstract_mesh().empty:
        return x
    return shard_rows(jax.lax.with_sharding_constraint(x, PartitionSpec("replica", None, "fsdp")))
