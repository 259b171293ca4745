import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.training.steps import ROWS, prepare, ten_losses
from tests.training.synthetic import CONFIG, make_batch
from vlm3_jax.models.functional import abstract_params

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def single():
    """One device, float32: the step, ten losses and the state after them."""
    step, state, batch = prepare()
    return step, *ten_losses(step, state, batch)


@pytest.fixture(scope="module")
def on_eight_devices():
    """`tests.training.steps` on simulated devices: fsdp 4 x tensor 2, and fsdp 8."""
    environment = {
        **os.environ,
        "XLA_FLAGS": "--xla_force_host_platform_device_count=8",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
    }
    command = [sys.executable, "-m", "tests.training.steps", "1,4,2", "1,8,1"]
    done = subprocess.run(
        command, env=environment, cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def test_learns_and_keeps_master_weights_in_float32(single):
    _, losses, state = single
    assert losses[-1] < 0.7 * losses[0]
    assert int(state.step) == 10
    assert {leaf.dtype for leaf in jax.tree.leaves(state.params)} == {jnp.dtype("float32")}


@pytest.mark.slow
def test_eight_devices_give_the_same_losses_from_shards(single, on_eight_devices):
    found, _ = on_eight_devices
    np.testing.assert_allclose(found["losses"], single[1], rtol=1e-5)
    # Parameters and both moments of the optimizer lie in pieces.
    for prefix in ("params", "opt_state/1/0/mu", "opt_state/1/0/nu"):
        shards = {k.removeprefix(f"{prefix}/"): v for k, v in found["shards"].items()}
        assert shards["text/embed/embedding"] == [104 // 2, 32 // 4]
        assert shards["text/layers/mlp/gate_proj/kernel"] == [2, 32 // 4, 64 // 2]
        assert shards["text/layers/attn/o_proj/kernel"] == [2, 64 // 2, 32 // 4]
        assert shards["vision/blocks/attn/qkv/kernel"] == [2, 32 // 8, 96]
        assert shards["vision/merger/fc2/kernel"] == [128 // 2, 32 // 4]
        assert shards["text/norm/scale"] == [32]


@pytest.mark.slow
def test_fsdp_gathers_parameters_and_no_activations(single, on_eight_devices):
    _, found = on_eight_devices
    np.testing.assert_allclose(found["losses"], single[1], rtol=1e-5)
    shapes = [leaf.shape for leaf in jax.tree.leaves(abstract_params(CONFIG))]
    # Inside the layer scan one layer is gathered: the stacked axis is 1 or gone.
    allowed = {tuple(sorted(shape)) for shape in shapes}
    allowed |= {tuple(sorted(shape[1:])) for shape in shapes}
    assert len(found["gathered"]) > 10
    for text in found["gathered"]:
        shape = tuple(sorted(int(size) for size in text.split(",")))
        assert shape in allowed or tuple(sorted(shape[1:])) in allowed, f"gathered f32[{text}]"


@pytest.mark.slow
def test_the_head_and_its_gradient_are_exchanged_once(on_eight_devices):
    for found in on_eight_devices:
        assert found["in_loops"]  # The layers' parameters.
        assert not [shape for shape in found["in_loops"] if {"104", "52"} & {*shape.split(",")}]


def test_bfloat16_compute_and_remat(single):
    losses, state = ten_losses(*prepare(compute_dtype="bfloat16", remat=True))
    np.testing.assert_allclose(losses, single[1], rtol=0.05)
    # Rounding shows; float32 in another order stays below 1e-5.
    assert np.abs(np.divide(losses, single[1]) - 1).max() > 1e-4
    assert {leaf.dtype for leaf in jax.tree.leaves(state.params)} == {jnp.dtype("float32")}


def test_metrics_and_donation(single):
    step, _, final = single
    batch = make_batch(np.random.default_rng(0), ROWS)
    state = jax.tree.map(jnp.copy, final)
    old = state.params["text"]["embed"]["embedding"]
    _, metrics = step(state, batch)
    assert old.is_deleted()
    assert float(metrics["num_samples"]) == 8
    # Grids of 4x6 and 2x4 patches, four to an image token; two tokens around; prompt; answer.
    assert float(metrics["num_tokens"]) == 4 * (6 + 2 + 8 + 8) + 4 * (2 + 2 + 8 + 6)
    assert float(metrics["num_supervised"]) == 4 * 8 + 4 * 6
    assert float(metrics["lr"]) == 0
    assert 0 < float(metrics["grad_norm"]) < np.inf
