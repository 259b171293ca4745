import jax
import pytest

from vlm3_jax.errors import BadInput
from vlm3_jax.parallel import distributed

VARIABLES = (
    "JAX_COORDINATOR_ADDRESS",
    "JAX_NUM_PROCESSES",
    "JAX_PROCESS_ID",
    "SLURM_STEP_NUM_TASKS",
    "OMPI_COMM_WORLD_SIZE",
    "TPU_WORKER_HOSTNAMES",
    "MEGASCALE_NUM_SLICES",
)


@pytest.fixture
def calls(monkeypatch):
    """What `jax.distributed.initialize` is called with, in an environment without launchers."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    calls = []
    monkeypatch.setattr(
        jax.distributed, "initialize", lambda *args, **kwargs: calls.append((args, kwargs))
    )
    return calls


def test_one_process(calls, monkeypatch):
    distributed.initialize()
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "1")
    monkeypatch.setenv("TPU_WORKER_HOSTNAMES", "localhost")
    distributed.initialize()
    assert calls == []


def test_explicit(calls, monkeypatch):
    monkeypatch.setenv("JAX_COORDINATOR_ADDRESS", "host:1234")
    monkeypatch.setenv("JAX_NUM_PROCESSES", "4")
    monkeypatch.setenv("JAX_PROCESS_ID", "3")
    distributed.initialize()
    assert calls == [(("host:1234",), {"num_processes": 4, "process_id": 3})]


@pytest.mark.parametrize(
    ("name", "value"), [("SLURM_STEP_NUM_TASKS", "2"), ("TPU_WORKER_HOSTNAMES", "a,b")]
)
def test_launchers(calls, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    distributed.initialize()
    assert calls == [((), {})]


def test_incomplete_or_wrong(calls, monkeypatch):
    monkeypatch.setenv("JAX_NUM_PROCESSES", "two")
    with pytest.raises(BadInput, match="JAX_NUM_PROCESSES is set but JAX_COORDINATOR_ADDRESS is"):
        distributed.initialize()
    monkeypatch.setenv("JAX_COORDINATOR_ADDRESS", "host:1234")
    monkeypatch.setenv("JAX_PROCESS_ID", "0")
    with pytest.raises(BadInput, match="JAX_NUM_PROCESSES is 'two'"):
        distributed.initialize()
    assert calls == []
