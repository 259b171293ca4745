import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.training.steps import OPTIMIZER, ROWS, prepare, ten_losses
from tests.training.synthetic import CONFIG, make_batch
from tests.training.test_loss import plain_loss
from vlm3_jax.models.execution import Execution
from vlm3_jax.models.functional import abstract_params
from vlm3_jax.models.stack import Remat

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
    losses, state = ten_losses(
        *prepare(compute_dtype="bfloat16", execution=Execution(Remat(text="full", vision="full")))
    )
    np.testing.assert_allclose(losses, single[1], rtol=0.05)
    # Rounding shows; float32 in another order stays below 1e-5.
    assert np.abs(np.divide(losses, single[1]) - 1).max() > 1e-4
    assert {leaf.dtype for leaf in jax.tree.leaves(state.params)} == {jnp.dtype("float32")}


@pytest.mark.parametrize("parts", [2, 8])
def test_accumulated_gradients_are_those_of_the_whole_batch(single, parts):
    # One step: its rows have unequal numbers of answer tokens, so a mean of means would differ.
    whole, state, make = prepare(num_sources=4)
    accumulating, same_state, _ = prepare(accumulation=parts, num_sources=4)
    source_of_row = np.array([0, 0, 0, 1, 1, 1, 3, 3], np.int32)  # None is of source 2.
    source_ids = np.broadcast_to(source_of_row[:, None], make(0).source_ids.shape)
    batch = make(0)._replace(source_ids=source_ids)
    weights = np.asarray(batch.loss_weights)
    by_source = [weights * (source_ids == source) for source in range(4)]
    sums = [float(plain_loss(state.params, batch, own)) for own in by_source]
    state, expected = whole(state, batch)
    assert float(expected["loss"]) == pytest.approx(sum(sums) / weights.sum(), rel=1e-6)
    np.testing.assert_allclose(expected["source_loss"], sums, rtol=1e-5)
    np.testing.assert_array_equal(expected["source_supervised"], [own.sum() for own in by_source])
    np.testing.assert_array_equal(expected["source_samples"], [3, 3, 0, 2])
    same_state, found = accumulating(same_state, batch)
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-6, err_msg=name)
    moments = [s.opt_state[1][0].mu for s in (same_state, state)]
    for a, b in zip(*map(jax.tree.leaves, moments), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-6 * np.abs(b).max())


def test_frozen_parameters_stay_and_cost_nothing():
    settings = replace(OPTIMIZER, frozen=("vision/.*", "text/embed/embedding"))
    step, state, batch = prepare(settings=settings)
    before = jax.tree.map(np.array, state.params)
    assert state.opt_state[1][0].mu.keys() == {"text"}
    assert "embed" not in state.opt_state[1][0].nu["text"]
    losses, state = ten_losses(step, state, batch)
    assert losses[-1] < losses[0]
    leaves = zip(*(jax.tree.leaves_with_path(p) for p in (before, state.params)), strict=True)
    for (path, old), (_, new) in leaves:
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        frozen = name.startswith("vision/") or name == "text/embed/embedding"
        assert np.array_equal(old, new) == frozen, name
    everything = prepare()[0].cost_analysis()["flops"]
    assert step.cost_analysis()["flops"] < 0.8 * everything


def test_parameters_in_bfloat16(single):
    settings = replace(OPTIMIZER, first_moment_dtype="bfloat16")
    step, state, batch = prepare(
        settings=settings, param_dtype="bfloat16", compute_dtype="bfloat16"
    )
    losses, state = ten_losses(step, state, batch)
    assert losses[-1] < 0.7 * losses[0]
    np.testing.assert_allclose(losses, single[1], rtol=0.1)
    assert {leaf.dtype for leaf in jax.tree.leaves(state.params)} == {jnp.dtype("bfloat16")}
    moments = state.opt_state[1][0]
    assert {leaf.dtype for leaf in jax.tree.leaves(moments.mu)} == {jnp.dtype("bfloat16")}
    assert {leaf.dtype for leaf in jax.tree.leaves(moments.nu)} == {jnp.dtype("float32")}


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
    assert float(metrics["token_fill"]) == pytest.approx((24 + 18) / 2 / 40)
    assert float(metrics["patch_fill"]) == pytest.approx((24 + 8) / 2 / 32)
    assert float(metrics["lr"]) == 0
    assert 0 < float(metrics["grad_norm"]) < np.inf
