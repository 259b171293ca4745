import grain
import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest

from tests.training.steps import OPTIMIZER
from vlm3_jax.errors import BadInput
from vlm3_jax.training.checkpoint import CheckpointConfig, Checkpoints
from vlm3_jax.training.optimizer import make_optimizer
from vlm3_jax.training.step import new_state

PARAMS = {"lm_head": {"kernel": jax.ShapeDtypeStruct((4, 2), jnp.float32)}}


def make_state(value: float):
    params = {"lm_head": {"kernel": jnp.full((4, 2), value)}}
    state = new_state(params, make_optimizer(OPTIMIZER, lambda step: 0.1))
    return jax.tree.map(lambda leaf: leaf + 1 if leaf.ndim == 0 else leaf + value, state)


def numbers():
    return iter(grain.MapDataset.range(100).shuffle(seed=3).to_iter_dataset())


def test_round_trip_and_what_is_kept(tmp_path):
    data = numbers()
    with Checkpoints(tmp_path / "c", keep=2, params=PARAMS) as checkpoints:
        assert checkpoints.latest_step() is None
        for step in (1, 2, 3):
            next(data)
            checkpoints.save(step, make_state(float(step)), data)
        following = next(data)
    assert sorted(path.name for path in (tmp_path / "c").iterdir()) == ["2", "3"]

    data = numbers()
    with Checkpoints(tmp_path / "c", keep=2, params=PARAMS) as checkpoints:
        assert checkpoints.latest_step() == 3
        abstract = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding),
            make_state(0.0),
        )
        restored = checkpoints.restore(3, abstract, data)
    jax.tree.map(np.testing.assert_array_equal, restored, make_state(3.0))
    assert jax.tree.structure(restored) == jax.tree.structure(abstract)
    assert next(data) == following

    # Parameters can be read on their own, as a plain nested dict.
    params = ocp.StandardCheckpointer().restore(tmp_path / "c" / "3" / "params")
    np.testing.assert_array_equal(params["lm_head"]["kernel"], np.full((4, 2), 6.0))


def test_another_number_of_processes(tmp_path):
    data = numbers()
    with Checkpoints(tmp_path / "c", keep=2, params=PARAMS) as checkpoints:
        checkpoints.save(5, make_state(1.0), data)
    written = tmp_path / "c" / "5" / "data"
    (written / "process_0-of-1.json").rename(written / "process_0-of-2.json")
    (written / "process_1-of-2.json").write_text("{}")
    with (
        Checkpoints(tmp_path / "c", keep=2, params=PARAMS) as checkpoints,
        pytest.raises(BadInput, match="5 was written by 2 processes, but this run has 1"),
    ):
        checkpoints.restore(5, make_state(0.0), data)


def test_a_restore_holds_little_on_the_host(tmp_path, monkeypatch):
    limits = []
    handler = ocp.StandardCheckpointHandler
    monkeypatch.setattr(
        ocp,
        "StandardCheckpointHandler",
        lambda **limit: limits.append(limit) or handler(**limit),
    )
    largest = {"kernel": jax.ShapeDtypeStruct((2560, 151936), jnp.float32)}  # 1.6 GB.
    with Checkpoints(tmp_path / "c", keep=2, params={**PARAMS, **largest}) as checkpoints:
        checkpoints.save(1, make_state(1.0), numbers())
    assert limits == [{"restore_concurrent_gb": 2}] * 2


@pytest.mark.parametrize("bad", [{"every": 0}, {"keep": 0}])
def test_bad_settings(bad):
    with pytest.raises(BadInput, match=f"{next(iter(bad))} is 0"):
        CheckpointConfig(**bad)
