"""Writes the weights that both sides start from, where no Hugging Face folder holds them yet."""

from functools import partial

import jax
import jax.numpy as jnp
import optax

from launch.bench.plan import Plan
from vlm3_jax.hub import folder as hub
from vlm3_jax.hub.export import save_hf
from vlm3_jax.models.functional import Params, init_params
from vlm3_jax.models.qwen3_vl.config import Qwen3VLConfig


def write(plan: Plan) -> None:
    """Writes the weights from which the plan's run starts to `plan.weights`."""
    model = plan.config.model
    assets, dtype = hub.assets_dir(model.checkpoint), jnp.dtype(model.param_dtype)
    if model.init == "random":

        @partial(jax.jit, static_argnums=0)
        def make(config: Qwen3VLConfig) -> Params:
            return optax.tree.cast(init_params(config, plan.config.seed), dtype)

        params = make(Qwen3VLConfig.from_folder(assets))
    else:
        _, params = hub.load_params(model.checkpoint, dtype=dtype)
    save_hf(params, assets, plan.weights)
