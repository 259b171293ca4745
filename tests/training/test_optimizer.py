from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from transformers import get_cosine_schedule_with_warmup

from tests.training.synthetic import CONFIG
from vlm3_jax.errors import BadInput
from vlm3_jax.models.functional import abstract_params
from vlm3_jax.training.optimizer import (
    OptimizerConfig,
    check_patterns,
    make_optimizer,
    make_schedule,
)

STEPS = 20
SETTINGS = OptimizerConfig(
    learning_rate=3e-2, beta2=0.95, epsilon=1e-6, weight_decay=0.1, clip_norm=0.5
)


def test_updates_equal_torch(rng):
    start = {
        "attn": {"kernel": rng.normal(size=(3, 4, 5)), "bias": rng.normal(size=(3, 5))},
        "norm": {"scale": rng.normal(size=(3, 4))},
        "embed": {"embedding": rng.normal(size=(6, 4))},
    }
    start = jax.tree.map(lambda x: x.astype(np.float32), start)
    grads = [jax.tree.map(lambda x: rng.normal(size=x.shape).astype(np.float32), start)] * 3
    grads += [jax.tree.map(lambda x: 1e-3 * x, grads[0])] * 3  # Below the clipping norm.

    optimizer = make_optimizer(SETTINGS, make_schedule(SETTINGS, 8, STEPS))
    params, state = start, optimizer.init(start)
    for grad in grads:
        updates, state = optimizer.update(grad, state, params)
        params = jax.tree.map(jnp.add, params, updates)

    expected = torch_updates(jax.tree.leaves(start), [jax.tree.leaves(g) for g in grads])
    for leaf, reference in zip(jax.tree.leaves(params), expected, strict=True):
        np.testing.assert_allclose(leaf, reference, rtol=2e-5, atol=1e-6)


def torch_updates(leaves, grads):
    """Leaves in the order of their paths: attn/bias, attn/kernel, embed/embedding, norm/scale."""
    tensors = [torch.nn.Parameter(torch.tensor(leaf)) for leaf in leaves]
    bias, kernel, embedding, scale = tensors
    adamw = torch.optim.AdamW(
        [{"params": [kernel, embedding]}, {"params": [bias, scale], "weight_decay": 0.0}],
        lr=SETTINGS.learning_rate,
        betas=(SETTINGS.beta1, SETTINGS.beta2),
        eps=SETTINGS.epsilon,
        weight_decay=SETTINGS.weight_decay,
    )
    schedule = get_cosine_schedule_with_warmup(adamw, round(0.1 * STEPS), STEPS)
    for step in grads:
        for tensor, grad in zip(tensors, step, strict=True):
            tensor.grad = torch.tensor(np.asarray(grad))
        torch.nn.utils.clip_grad_norm_(tensors, SETTINGS.clip_norm)
        adamw.step()
        schedule.step()
    return [tensor.detach().numpy() for tensor in tensors]


def test_multiplied_rates_equal_runs_at_those_rates(rng):
    start = {name: {"kernel": rng.normal(size=(4, 5)).astype(np.float32)} for name in "abc"}
    grads = [jax.tree.map(lambda x: rng.normal(size=x.shape).astype(np.float32), start)] * 4
    settings = replace(SETTINGS, clip_norm=None, warmup_ratio=0.25)

    def run(settings):
        optimizer = make_optimizer(settings, make_schedule(settings, 8, STEPS))
        params, state = start, optimizer.init(start)
        for grad in grads:
            updates, state = optimizer.update(grad, state, params)
            params = jax.tree.map(jnp.add, params, updates)
        return params

    multipliers = (("a/.*", 0.1), (".*/kernel", 2.0), ("c/.*", 5.0))  # The first match counts.
    found = run(replace(settings, rate_multipliers=multipliers))
    for name, factor in {"a": 0.1, "b": 2.0, "c": 2.0}.items():
        alone = run(replace(settings, learning_rate=factor * settings.learning_rate))
        np.testing.assert_allclose(found[name]["kernel"], alone[name]["kernel"], rtol=1e-6)


def test_types_of_the_moments(rng):
    params = {"a": {"kernel": jnp.ones((4, 5), jnp.bfloat16)}}
    gradient = {"a": {"kernel": jnp.asarray(rng.normal(size=(4, 5)), jnp.float32)}}
    results = {}
    for first, second in (("float32",) * 2, ("bfloat16", "float32"), ("bfloat16",) * 2):
        settings = replace(SETTINGS, first_moment_dtype=first, second_moment_dtype=second)
        optimizer = make_optimizer(settings, lambda step: 0.1)
        state = optimizer.init(params)
        for _ in range(5):
            updates, state = optimizer.update(gradient, state, params)
        adam = state[1][0]
        assert adam.mu["a"]["kernel"].dtype == first and adam.nu["a"]["kernel"].dtype == second
        assert updates["a"]["kernel"].dtype == jnp.float32
        results[first, second] = np.asarray(updates["a"]["kernel"])
    exact = results["float32", "float32"]
    for rounded in results.values():
        np.testing.assert_allclose(rounded, exact, rtol=0.03)
    assert np.any(results["bfloat16", "float32"] != exact)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"frozen": ("vision/block",)}, r"config.optimizer.frozen has the pattern 'vision/block'"),
        ({"rate_multipliers": (("x.*", 2.0),)}, r"rate_multipliers has the pattern 'x.\*', which"),
        ({"frozen": (".*",)}, "config.optimizer.frozen leaves no parameter to train"),
    ],
)
def test_patterns_that_do_not_fit_the_model(change, message):
    with pytest.raises(BadInput, match=message):
        check_patterns(replace(SETTINGS, **change), abstract_params(CONFIG))


def test_a_pattern_that_is_none():
    with pytest.raises(BadInput, match=r"^'\(' is no regular expression"):
        replace(SETTINGS, frozen=("(",))


@pytest.mark.parametrize("ratio", [0.0, 0.1, 0.25])
def test_schedule_equals_transformers(ratio):
    config = OptimizerConfig(learning_rate=1.0, warmup_ratio=ratio)
    ours = make_schedule(config, 8, STEPS)
    adamw = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    theirs = get_cosine_schedule_with_warmup(adamw, round(ratio * STEPS), STEPS).lr_lambdas[0]
    for step in range(STEPS):
        assert float(ours(step)) == pytest.approx(theirs(step), abs=1e-6)


def test_square_root_rule():
    config = OptimizerConfig(learning_rate=5.5e-5, learning_rate_batch_size=1344, warmup_ratio=0.0)
    assert float(make_schedule(config, 1344, 9)(0)) == pytest.approx(5.5e-5)
    assert float(make_schedule(config, 336, 9)(0)) == pytest.approx(5.5e-5 / 2)


@pytest.mark.parametrize(
    "bad",
    [
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"learning_rate_batch_size": 0},
        {"warmup_ratio": 1.0},
        {"clip_norm": -1.0},
        {"rate_multipliers": (("vision/.*", 0.0),)},
        {"second_moment_dtype": "bfloat16"},
    ],
)
def test_bad_settings(bad):
    with pytest.raises(BadInput, match=next(iter(bad))):
        OptimizerConfig(**{"learning_rate": 1e-3, **bad})
