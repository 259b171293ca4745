from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import psutil
import pytest
from jax.experimental import multihost_utils

from vlm3_jax.decoding.compiled import free_bytes
from vlm3_jax.parallel.mesh import make_mesh


@pytest.mark.parametrize("gigabytes", [1, 3, 21, 500])
def test_processes_agree_on_the_least_free_memory(gigabytes, monkeypatch):
    def gather(free: np.ndarray) -> np.ndarray:
        """As of two processes, the other with 1% more; JAX carries 32 bits."""
        return np.asarray(jnp.stack([jnp.asarray(free), jnp.asarray(free) * 101 // 100]))

    monkeypatch.setattr(
        psutil, "virtual_memory", lambda: SimpleNamespace(available=gigabytes * 10**9)
    )
    monkeypatch.setattr(multihost_utils, "process_allgather", gather)
    alone = free_bytes(make_mesh(1, 1, 1))
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    assert free_bytes(make_mesh(1, 1, 1)) == pytest.approx(alone, abs=2**20)
    assert alone == pytest.approx(0.9e9 * gigabytes)
