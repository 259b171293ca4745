"""The device mesh: replicated, fully sharded and tensor parallel axes."""

import math
from dataclasses import dataclass

import jax
from jax.experimental import mesh_utils
from jax.sharding import AxisType, Mesh

from vlm3_jax.errors import BadInput

AXES = ("replica", "fsdp", "tensor")
BATCH_AXES = ("replica", "fsdp")


@dataclass(frozen=True)
class MeshConfig:
    """Sizes of the mesh axes; one of them may be -1 and takes the devices that the others leave."""

    replica: int = 1
    """Copies of the model; each reads its own rows. Over several TPU slices, a multiple of their
    number keeps the exchange of parameters within a slice: only gradients cross."""
    fsdp: int = -1
    """Devices that share one copy of parameters and optimizer state; each reads its own rows."""
    tensor: int = 1
    """Devices that split the matrix products of the same rows."""


def make_mesh(
    replica: int = 1, fsdp: int = -1, tensor: int = 1, devices: list[jax.Device] | None = None
) -> Mesh:
    """Lays the devices (default: all) out as a mesh; one size may be -1 and takes the rest.

    Devices of several slices, which only the data centre's network joins, are laid out so that
    `replica` goes across slices first, then `fsdp`, and `tensor` never.

    Raises:
        BadInput: a size is no size, the sizes do not multiply to the number of devices, or slices
            cannot be told apart in them.
    """
    devices = jax.devices() if devices is None else devices
    sizes = (replica, fsdp, tensor)
    named = f"config.mesh (replica {replica}, fsdp {fsdp}, tensor {tensor})"
    if any(size == 0 or size < -1 for size in sizes) or sizes.count(-1) > 1:
        raise BadInput(f"{named} needs positive sizes, of which one may be -1 to take the rest.")
    fixed = math.prod(size for size in sizes if size != -1)
    if len(devices) % fixed or (-1 not in sizes and fixed != len(devices)):
        raise BadInput(
            f"{named} does not fit {len(devices)} devices: make the sizes multiply to"
            f" {len(devices)}, or set one to -1."
        )
    shape = tuple(len(devices) // fixed if size == -1 else size for size in sizes)
    slices = len({getattr(device, "slice_index", 0) for device in devices})
    if slices == 1:
        grid = mesh_utils.create_device_mesh(shape, devices, allow_split_physical_axes=True)
    else:
        across = math.gcd(shape[0], slices), slices // math.gcd(shape[0], slices), 1
        if shape[1] % across[1]:
            raise BadInput(
                f"{named} does not lie evenly over {slices} slices: make replica a multiple of"
                f" {slices}."
            )
        within = tuple(size // count for size, count in zip(shape, across, strict=True))
        grid = mesh_utils.create_hybrid_device_mesh(
            within, across, devices, allow_split_physical_axes=True
        )
    return Mesh(grid, AXES, axis_types=(AxisType.Auto,) * len(AXES))


def check_batch_size(mesh: Mesh, batch_size: int, gradient_accumulation: int = 1) -> None:
    """Checks that rows divide evenly among devices, and that every process has rows of its own.

    With gradient accumulation each part of the batch has to.

    Raises:
        BadInput: the numbers do not divide; it names them and the nearest batch sizes that work.
    """
    ways = math.prod(mesh.shape[axis] for axis in BATCH_AXES)
    # Not jax.process_count(): the devices may be those of a machine that is not at hand.
    hosts = {(getattr(d, "slice_index", 0), d.process_index) for d in mesh.devices.flat}
    if ways % len(hosts):
        raise BadInput(
            f"config.mesh splits a batch {ways} ways (replica {mesh.shape['replica']} x fsdp"
            f" {mesh.shape['fsdp']}), which {len(hosts)} processes cannot share evenly:"
            " lower config.mesh.tensor."
        )
    parts = gradient_accumulation
    ways *= parts
    if batch_size % ways:
        each = f", in {parts} parts (config.gradient_accumulation)" if parts > 1 else ""
        lower, upper = batch_size // ways * ways, -(-batch_size // ways) * ways
        remedy = f"{upper}" if lower == 0 else f"{lower} or {upper}"
        raise BadInput(
            f"config.batch_size is {batch_size}, which does not divide by {ways} (replica"
            f" {mesh.shape['replica']} x fsdp {mesh.shape['fsdp']}{each}): use {remedy}, or another"
            " config.mesh."
        )
