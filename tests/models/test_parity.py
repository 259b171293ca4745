"""Every intermediate result of the port against transformers, on one padded batch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from transformers import AutoModelForImageTextToText

from tests.models.rows import make_rows, port_inputs, reference
from tests.training.jaxprs import equations
from vlm3_jax.hub.folder import load_params
from vlm3_jax.models import functional, rope
from vlm3_jax.models.attention.kernels import row_attention
from vlm3_jax.models.execution import Execution
from vlm3_jax.models.qwen3_vl import positions, text
from vlm3_jax.models.qwen3_vl.config import Qwen3VLConfig
from vlm3_jax.models.stack import Remat

TOLERANCE = 2e-4  # of the largest value of the tensor


def port(config, params, inputs) -> dict[str, np.ndarray]:
    """What `reference` gives, for all rows at once: [B, ...]."""
    text_inputs, images = inputs

    @jax.jit
    def run(params):
        model = functional.build(config, params)
        x, taps, blocks = model.vision.run_blocks(model.vision.embed(images), images, collect=True)
        features = model.vision.features(x, taps)
        segments, questions = text_inputs.segment_ids, text_inputs.question_ids
        attend = row_attention("reference", segments, questions, causal=True)
        visual = text.Visual(features.deepstack, text_inputs.visual_index)
        hidden, _, layers = model.text(
            model.embed(text_inputs, features),
            text_inputs.positions,
            text.without_cache(attend),
            visual,
            collect=True,
        )
        found = {f"block.{i}": block for i, block in enumerate(blocks)}
        found |= {f"deepstack.{i}": tap for i, tap in enumerate(features.deepstack)}
        found |= {f"layer.{i}": layer for i, layer in enumerate(layers)}
        return found | {"merger": features.tokens, "logits": model.logits(hidden)}

    return jax.device_get(run(params))


def worst_difference(rows, references, found) -> tuple[float, str]:
    """Largest difference relative to its tensor's largest value, and where."""
    worst = (0.0, "")
    for b, (row, expected) in enumerate(zip(rows, references, strict=True)):
        assert len(expected) == (1 + 5 + 3 + 4 + 1 if row.grids else 4 + 1)
        for name, want in expected.items():
            got = found[name][b][: len(want)]
            difference = float(np.abs(got - want).max() / np.abs(want).max())
            worst = max(worst, (difference, f"row {b} {name}"))
    return worst


@pytest.fixture(scope="module", params=["tied", "untied"])
def case(request, tiny_hf, tiny_hf_untied):
    folder = tiny_hf if request.param == "tied" else tiny_hf_untied
    config = Qwen3VLConfig.from_folder(folder)
    rows = make_rows(config, folder)
    model = AutoModelForImageTextToText.from_pretrained(folder).eval()
    params = load_params(folder)[1]
    return config, params, rows, [reference(model, row) for row in rows]


def test_every_layer_equals_transformers(case):
    config, params, rows, references = case
    found = port(config, params, port_inputs(rows, config, extra=7))
    difference, where = worst_difference(rows, references, found)
    assert difference < TOLERANCE, where


@pytest.mark.parametrize("case", ["tied"], indirect=True)
def test_rematerialisation_changes_no_gradient(case):
    """And each policy runs the products that it promises, of each tower apart."""
    config, params, rows, _ = case
    text_inputs, images = port_inputs(rows, config)

    def loss(params, remat):
        model = functional.build(config, params, Execution(remat=remat))
        return jnp.square(model.logits(model(text_inputs, images))).mean()

    gradient = jax.jit(jax.grad(loss), static_argnums=1)
    plain = gradient(params, Remat())
    for remat in (Remat(text="dots", vision="full"), Remat(text="offload", vision="offload")):
        again = gradient(params, remat)
        for a, b in zip(jax.tree.leaves(plain), jax.tree.leaves(again), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5 * float(jnp.abs(a).max()))

    def products(**policies) -> int:
        jaxpr = jax.make_jaxpr(gradient, static_argnums=1)(params, Remat(**policies))
        return sum(eqn.primitive.name == "dot_general" for eqn in equations(jaxpr.jaxpr))

    once = products()
    # Forward, a text layer multiplies with 7 matrices, a vision block with 4, and both attend with
    # 2 products. The last product of a layer is not needed again.
    assert products(text="full") - once == 7 + 2 - 1
    assert products(vision="full") - once == 4 + 2 - 1
    assert products(text="dots") - once == products(vision="dots") - once == 2


def test_padding_changes_nothing(case):
    config, params, rows, _ = case
    short = port(config, params, port_inputs(rows, config))
    long = port(config, params, port_inputs(rows, config, extra=20))
    for b, row in enumerate(rows):
        a, z = (found["logits"][b, : len(row.tokens)] for found in (short, long))
        np.testing.assert_allclose(a, z, atol=1e-4 * np.abs(a).max())


def without_deepstack(monkeypatch):
    monkeypatch.setattr(text.Visual, "add", lambda self, x, layer: x)


def without_interleaving(monkeypatch):
    def chunked(positions, head_dim, theta, sections):
        axis = np.repeat(np.arange(3), sections)
        return positions[..., axis].astype(jnp.float32) * rope._frequencies(head_dim, theta)

    monkeypatch.setattr(rope, "mrope_angles", chunked)


def without_interpolation(monkeypatch):
    exact = positions.interpolation

    def nearest(grid, side, merge):
        indices, weights = exact(grid, side, merge)
        return indices, np.eye(4, dtype=np.float32)[weights.argmax(-1)]

    monkeypatch.setattr("tests.models.rows.interpolation", nearest)


def without_second_image(monkeypatch):
    exact = text.scatter

    def first_only(features, index):
        # Row 1 has two images; the first one ends before its tenth token.
        is_second = (jnp.arange(len(index)) == 1)[:, None] & (index >= 10)
        return exact(features, jnp.where(is_second, -1, index))

    monkeypatch.setattr(text, "scatter", first_only)
    monkeypatch.setattr("vlm3_jax.models.qwen3_vl.model.scatter", first_only)


def without_image_borders(monkeypatch):
    monkeypatch.setattr(
        "vlm3_jax.models.attention.kernels.image_mask",
        lambda segments: (segments > 0)[:, None, :] & (segments > 0)[:, :, None],
    )


@pytest.mark.parametrize(
    "mutate",
    [
        without_deepstack,
        without_interleaving,
        without_interpolation,
        without_second_image,
        without_image_borders,
    ],
)
def test_the_comparison_notices_a_missing_part(case, mutate, monkeypatch):
    config, params, rows, references = case
    mutate(monkeypatch)
    found = port(config, params, port_inputs(rows, config))
    assert worst_difference(rows, references, found)[0] > 10 * TOLERANCE
