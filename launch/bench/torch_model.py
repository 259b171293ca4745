"""Model and optimizer of transformers and torch for a training configuration of ours."""

import re
from pathlib import Path

import torch
from transformers import Qwen3VLForConditionalGeneration

from vlm3_jax.errors import BadInput
from vlm3_jax.hub.keys import parameters
from vlm3_jax.models.functional import abstract_params, flatten
from vlm3_jax.models.qwen3_vl.config import Qwen3VLConfig
from vlm3_jax.models.stack import RematPolicy
from vlm3_jax.training.config import ModelConfig
from vlm3_jax.training.freezing import split
from vlm3_jax.training.optimizer import OptimizerConfig


def load_model(
    folder: Path, config: ModelConfig, attention: str, device: torch.device
) -> Qwen3VLForConditionalGeneration:
    """The model for training, with gradient checkpointing where ours computes layers again.

    Raises:
        BadInput: transformers has nothing that does the same.
    """
    model = Qwen3VLForConditionalGeneration.from_pretrained(
        folder, dtype=getattr(torch, config.param_dtype), attn_implementation=attention
    )
    model.config.text_config.use_cache = False
    _checkpoint_gradients(model.model.language_model, config.remat.text, "text")
    _checkpoint_gradients(model.model.visual, config.remat.vision, "vision")
    return model.to(device).train()


def autocast_dtype(config: ModelConfig) -> torch.dtype | None:
    """The type that products are computed in, where it is not that of the parameters.

    Raises:
        BadInput: the parameters have less precision than the products.
    """
    if config.compute_dtype == config.param_dtype:
        return None
    if config.compute_dtype == "float32":
        raise BadInput(
            "torch does not compute in float32 with bfloat16 parameters: set"
            " config.model.param_dtype to 'float32', or give --notorch."
        )
    return getattr(torch, config.compute_dtype)


def make_optimizer(
    model: Qwen3VLForConditionalGeneration, shapes: Qwen3VLConfig, config: OptimizerConfig
) -> torch.optim.AdamW:
    """AdamW as ours: same constants, decay, frozen parameters and multiples of the rate.

    Groups have the multiple as `multiplier`. Moments have the type of their parameter.
    """
    trained = flatten(split(abstract_params(shapes), config.frozen)[0])
    by_name = dict(model.named_parameters())
    groups: dict[tuple[bool, float], list[torch.nn.Parameter]] = {}
    for row in parameters(shapes):
        for name in row.hf_names:
            parameter = by_name[name]
            parameter.requires_grad_(row.path in trained)
            if row.path in trained:
                multiplier = _rate_multiplier(row.path, config)
                groups.setdefault((parameter.ndim > 1, multiplier), []).append(parameter)
    return torch.optim.AdamW(
        [
            {
                "params": params,
                "weight_decay": config.weight_decay if decays else 0.0,
                "multiplier": multiplier,
            }
            for (decays, multiplier), params in groups.items()
        ],
        betas=(config.beta1, config.beta2),
        eps=config.epsilon,
        fused=True,
    )


def _checkpoint_gradients(tower: torch.nn.Module, remat: RematPolicy, name: str) -> None:
    if remat == "full":
        tower.gradient_checkpointing_enable({"use_reentrant": False})
    elif remat != "none":
        raise BadInput(
            f"config.model.remat.{name} is {remat!r}, which transformers does not have: use 'none'"
            " or 'full', or give --notorch."
        )


def _rate_multiplier(path: str, config: OptimizerConfig) -> float:
    factors = (f for pattern, f in config.rate_multipliers if re.fullmatch(pattern, path))
    return next(factors, 1.0)
