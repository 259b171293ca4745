"""The model computes in the type of its parameters."""

import jax
import jax.numpy as jnp
import numpy as np

from tests.training.jaxprs import equations
from tests.training.synthetic import CONFIG, make_batch
from vlm3_jax.models import functional
from vlm3_jax.training.loss import answer_loss


def test_every_product_with_a_matrix_takes_bfloat16():
    batch = make_batch(np.random.default_rng(0), 2)
    params = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, jnp.bfloat16),
        functional.abstract_params(CONFIG),
    )

    def loss(params):
        model = functional.build(CONFIG, params)
        hidden = model(batch.text, batch.images)
        assert hidden.dtype == jnp.bfloat16
        return answer_loss(hidden, model.head(), batch.targets, batch.loss_weights, 12).loss

    products = [
        {str(var.aval.dtype) for var in eqn.invars}
        for eqn in equations(jax.make_jaxpr(jax.grad(loss))(params).jaxpr)
        if eqn.primitive.name == "dot_general"
        # XLA's reference attention keeps the gradient of the scores in float32.
        and "BNTS" not in str(eqn.source_info.name_stack)
    ]
    assert len(products) > 30
    assert all(types == {"bfloat16"} for types in products), products
