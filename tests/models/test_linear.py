"""The model as CPUs compute it: the same numbers, and no product that XLA transposes for."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from tests.training.jaxprs import equations
from tests.training.runs import run_config
from tests.training.synthetic import CONFIG, make_batch
from vlm3_jax.models import functional
from vlm3_jax.models.execution import PLAIN, Execution

FLAT = Execution(flat_products=True, recompute_activation=True)


def loss(params: functional.Params, execution: Execution) -> jax.Array:
    batch = make_batch(np.random.default_rng(0), 4)
    hidden = functional.build(CONFIG, params, execution)(batch.text, batch.images)
    return jnp.sum(jnp.sin(hidden) * batch.loss_weights[..., None])


def test_only_cpus_compute_so(tmp_path):
    config = run_config(tmp_path)
    chosen = config.execution("cpu")
    assert (chosen.flat_products, chosen.recompute_activation, chosen.attention) == (
        True,
        True,
        "blocks",
    )
    for platform in ("tpu", "gpu", "cuda"):
        chosen = config.execution(platform)
        assert not chosen.flat_products
        assert not chosen.recompute_activation


def test_gradients_are_the_plain_models():
    params = functional.init_params(CONFIG, 0)
    gradient = jax.jit(jax.grad(loss), static_argnums=1)
    expected, found = (functional.flatten(gradient(params, e)) for e in (PLAIN, FLAT))
    for name, value in expected.items():
        worst = jnp.max(jnp.abs(found[name] - value)) / jnp.max(jnp.abs(value))
        assert worst < 1e-5, name


def test_gradients_of_kernels_contract_one_axis_and_are_not_transposed():
    """Every gradient of a layer's kernel is x^T g, [D, F] as the kernel."""
    jaxpr = jax.make_jaxpr(partial(jax.grad(loss), execution=FLAT))(
        functional.abstract_params(CONFIG)
    )
    text = CONFIG.text
    shape = (text.hidden_size, text.intermediate_size)
    found = [
        eqn.params["dimension_numbers"]
        for eqn in equations(jaxpr.jaxpr)
        if eqn.primitive.name == "dot_general" and eqn.outvars[0].aval.shape == shape
    ]
    assert len(found) >= 2  # gate_proj and up_proj
    assert set(found) == {(((0,), (0,)), ((), ()))}
