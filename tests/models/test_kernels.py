"""The whole model with a kernel instead of the reference, on one device and on a mesh.

As a program it prints how far the gradients are off on the meshes given.
"""

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.training.synthetic import CONFIG, make_batch
from vlm3_jax.errors import BadInput
from vlm3_jax.models import functional
from vlm3_jax.models.attention import kernels
from vlm3_jax.models.attention.flash import flash_attention
from vlm3_jax.models.attention.splash import splash_attention
from vlm3_jax.models.execution import Execution
from vlm3_jax.parallel.mesh import make_mesh

LOCAL = {
    "splash_attention": partial(splash_attention, block_size=128, interpret=True),
    "flash_attention": partial(flash_attention, interpret=True),
}
"""Kernels that run on the CPU."""


def worst_difference(kernel: str, *mesh_sizes: int) -> float:
    """Of the gradients with a kernel, relative to the largest value of each; on a mesh, if any."""
    params = functional.init_params(CONFIG, 0)
    batch = make_batch(np.random.default_rng(0), 4)

    @partial(jax.jit, static_argnames="attention")
    def gradient(params, attention):
        def loss(params):
            model = functional.build(CONFIG, params, Execution(attention=attention))
            hidden = model(batch.text, batch.images)
            return jnp.sum(jnp.sin(hidden) * batch.loss_weights[..., None])

        return jax.grad(loss)(params)

    expected = functional.flatten(gradient(params, "reference"))
    with mock.patch.multiple(kernels, **LOCAL):
        if not mesh_sizes:
            found = gradient(params, kernel)
        else:
            with jax.set_mesh(make_mesh(*mesh_sizes)):
                found = gradient(params, kernel)
    found = functional.flatten(found)
    return max(
        float(jnp.max(jnp.abs(found[name] - value)) / jnp.max(jnp.abs(value)))
        for name, value in expected.items()
    )


@pytest.mark.parametrize("kernel", ["blocks", "splash", "flash"])
def test_the_model_is_the_same_with_a_kernel(kernel):
    assert worst_difference(kernel) < 1e-5


MESHES = ("splash,1,2,2", "splash,2,2,1", "splash,1,1,4", "flash,1,2,2", "flash,1,1,4")


@pytest.mark.slow
def test_the_model_is_the_same_with_a_kernel_on_a_mesh():
    """Rows over replica and fsdp, heads over tensor; two key heads are not split four ways."""
    environment = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=4"}
    command = [sys.executable, "-m", "tests.models.test_kernels", *MESHES]
    done = subprocess.run(
        command,
        env=environment,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert max(json.loads(done.stdout)) < 1e-5


def test_a_kernel_of_another_platform_is_refused():
    assert kernels.choose_kernel("auto", "tpu") == "splash"
    assert kernels.choose_kernel("auto", "gpu") == kernels.choose_kernel("auto", "cuda") == "flash"
    assert kernels.choose_kernel("auto", "cpu") == "blocks"
    assert kernels.choose_kernel("reference", "tpu") == "reference"
    with pytest.raises(BadInput, match=r"config.model.attention is 'splash'.* on cpu: use 'auto'"):
        kernels.choose_kernel("splash", "cpu")


def test_a_program_without_its_kernel_is_noticed():
    program = jax.jit(lambda x: x @ x).lower(jnp.ones((2, 2))).compile().as_text()
    kernels.check_compiled("reference", program)
    with pytest.raises(RuntimeError, match="'splash' is not in the compiled program"):
        kernels.check_compiled("splash", program)


if __name__ == "__main__":
    found = []
    for argument in sys.argv[1:]:
        name, *sizes = argument.split(",")
        found.append(worst_difference(name, *map(int, sizes)))
    print(json.dumps(found))
