"""Several processes as one program."""

import os

import jax
import numpy as np
from jax.experimental import multihost_utils

from vlm3_jax.errors import BadInput

_EXPLICIT = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")
# Launchers whose addresses JAX finds by itself, and how many processes each says it started.
_PROCESS_COUNTS = {
    "SLURM_STEP_NUM_TASKS": int,
    "OMPI_COMM_WORLD_SIZE": int,
    "TPU_WORKER_HOSTNAMES": lambda hosts: len(hosts.split(",")),
    "MEGASCALE_NUM_SLICES": int,
}


def initialize() -> None:
    """Joins the other processes of this run, if any; call it before anything touches a device.

    Processes are told of each other by JAX_COORDINATOR_ADDRESS (host:port), JAX_NUM_PROCESSES and
    JAX_PROCESS_ID. Without these, srun, mpirun, GKE and multi-slice TPU launchers are recognised.

    Raises:
        BadInput: only some of the three variables are set, or a number is none.
    """
    if jax.distributed.is_initialized():
        return
    given = [name for name in _EXPLICIT if name in os.environ]
    if given:
        missing = [name for name in _EXPLICIT if name not in os.environ]
        if missing:
            raise BadInput(f"{given[0]} is set but {missing[0]} is not: set all of {_EXPLICIT}.")
        jax.distributed.initialize(
            os.environ["JAX_COORDINATOR_ADDRESS"],
            num_processes=_integer("JAX_NUM_PROCESSES"),
            process_id=_integer("JAX_PROCESS_ID"),
        )
    elif any(
        name in os.environ and count(os.environ[name]) > 1
        for name, count in _PROCESS_COUNTS.items()
    ):
        jax.distributed.initialize()


def from_first_process(data: bytes) -> bytes:
    """What the first process gives, in every process; all of them must call it."""
    if jax.process_count() == 1:
        return data
    size = int(multihost_utils.broadcast_one_to_all(np.int64(len(data))))
    padded = np.frombuffer(data, np.uint8) if jax.process_index() == 0 else np.zeros(size, np.uint8)
    return np.asarray(multihost_utils.broadcast_one_to_all(padded), np.uint8).tobytes()


def _integer(name: str) -> int:
    if not os.environ[name].isdecimal():
        raise BadInput(f"{name} is {os.environ[name]!r}, but must be a whole number.")
    return int(os.environ[name])
