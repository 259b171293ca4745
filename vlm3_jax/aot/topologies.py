"""Machines to compile for without having them."""

import importlib.util
import math
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
from jax.experimental import topologies

from vlm3_jax.errors import BadInput

GIB = 2**30


@dataclass(frozen=True)
class Family:
    """Accelerators of one kind, and how many of them one can get together."""

    platform: str
    hbm_bytes: int
    """Of a device."""
    shapes: tuple[str, ...]
    """Chips along the axes of a TPU slice, or GPUs in nodes of eight."""
    options: dict[str, Any] = field(default_factory=dict)
    """Of the description that the compiler is given."""


# The compilers take any shape. These exist: https://cloud.google.com/tpu/docs/v4, v5e, v5p and v6e.
_FLAT = ("1x1", "2x2", "2x4", "4x4", "4x8", "8x8", "8x16", "16x16")
_CUBES = (
    *("2x2x1", "2x2x2", "2x2x4", "2x4x4", "4x4x4", "4x4x8", "4x8x8"),
    *("8x8x8", "8x8x12", "8x8x16", "8x16x16"),
)
FAMILIES = {
    # Both cores of a chip are one device.
    "v4": Family("tpu", 32 * GIB, _CUBES, {"chip_config_name": "megacore"}),
    "v5e": Family("tpu", 16 * GIB, _FLAT),
    "v5p": Family("tpu", 95 * GIB, (*_CUBES, "16x16x16", "16x16x24")),
    "v6e": Family("tpu", 32 * GIB, _FLAT),
    # Memory as in h100.txtpb.
    "h100": Family("cuda", 84942979072, ("8", "16", "32", "64", "128", "256", "512", "1024")),
}

# Without these libtpu wants to be alone on a machine, and looks for its place in a pod.
_LIBTPU = {
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "TPU_ACCELERATOR_TYPE": "v5litepod-4",
}


@dataclass(frozen=True)
class Topology:
    """Some of the devices in `FAMILIES`, joined."""

    name: str
    """Like `v5e:16x16`: 256 chips; or `h100:256`."""
    slices: int = 1
    """Of a TPU: so many of them, joined by the data centre's network."""

    def __post_init__(self):
        family, _, shape = self.name.partition(":")
        if family not in FAMILIES or shape not in FAMILIES[family].shapes:
            known = ", ".join(
                f"{name}:{{{','.join(family.shapes)}}}" for name, family in FAMILIES.items()
            )
            raise BadInput(f"topology {self.name!r} does not exist: give one of {known}.")
        if self.slices < 1 or (self.slices > 1 and self.family.platform != "tpu"):
            raise BadInput(
                f"slices is {self.slices}, but must be 1 or, for a TPU, more: GPUs have no slices."
            )

    @property
    def family(self) -> Family:
        """Of the devices."""
        return FAMILIES[self.name.partition(":")[0]]

    @property
    def shape(self) -> tuple[int, ...]:
        """As in the name."""
        return tuple(int(size) for size in self.name.partition(":")[2].split("x"))

    def devices(self) -> list[jax.Device]:
        """Devices that programs can be compiled for; call it before anything touches a device.

        Raises:
            BadInput: the compiler for them is not installed.
        """
        jax.config.update("jax_platforms", "cpu")  # Devices of this machine are not wanted.
        describe = _tpu if self.family.platform == "tpu" else _gpu
        return list(describe(self).devices)


def _tpu(topology: Topology) -> topologies.TopologyDescription:
    if importlib.util.find_spec("libtpu") is None:
        raise BadInput(
            f"{topology.name} needs the TPU's compiler, which is not installed: run pip install"
            ' "jax[tpu]" (no TPU is needed).'
        )
    for name, value in _LIBTPU.items():
        os.environ.setdefault(name, value)
    return topologies.get_topology_desc(
        topology.name,
        platform="tpu",
        num_slices=topology.slices,
        chips_per_host_bounds=(1, 1, 1) if math.prod(topology.shape) == 1 else (2, 2, 1),
        wrap=_wraps(topology.shape),
        **topology.family.options,
    )


def _wraps(shape: tuple[int, ...]) -> tuple[bool, ...]:
    """Along which of three axes the last chip is joined to the first."""
    if len(shape) == 2:
        return tuple(size == 16 for size in (*shape, 1))
    return (min(shape) >= 4,) * 3


def _gpu(topology: Topology) -> topologies.TopologyDescription:
    if not any(importlib.util.find_spec(f"jax_cuda{v}_plugin") for v in (12, 13)):
        raise BadInput(
            f"{topology.name} needs XLA's CUDA plugin, which is not installed: run pip install"
            ' "jax[cuda12]" (no GPU is needed).'
        )
    (size,) = topology.shape
    return topologies.get_topology_desc(
        platform="cuda",
        target_config=(Path(__file__).parent / "h100.txtpb").read_text(),
        topology=f"1x{size // 8}x8",  # Slices, nodes, GPUs of a node.
    )
