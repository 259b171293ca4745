"""Packed rows against the same samples in rows of their own, in float32."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.tiny import textured_image
from vlm3_jax.data.batch import pad
from vlm3_jax.data.chat import Sample, Turn
from vlm3_jax.data.encoder import Encoded, Encoder
from vlm3_jax.data.packing import join
from vlm3_jax.hub.folder import load_params
from vlm3_jax.models import functional
from vlm3_jax.models.inputs import Batch
from vlm3_jax.training.loss import answer_loss

# Heights and widths of the images of each sample.
LAYOUTS = {
    "one image": [[(64, 96)], [(96, 64)], [(64, 64)]],
    "two images": [[(64, 96), (32, 64)], [(64, 64), (64, 64)], [(32, 96), (96, 32)]],
    "mixed": [[(64, 96)], [(32, 64), (96, 64)], []],
}


@pytest.fixture(scope="module")
def encoder(tiny_hf) -> Encoder:
    return Encoder.from_folder(tiny_hf)


@pytest.fixture(scope="module")
def loss_and_grads(encoder, tiny_hf):
    """Mean loss over the answers of a batch, its gradients and the number of answer tokens."""
    _, params = load_params(tiny_hf)

    @jax.jit
    @partial(jax.value_and_grad, has_aux=True)
    def function(params, batch: Batch):
        model = functional.build(encoder.config, params)
        count = jnp.sum(batch.loss_weights)
        answers = answer_loss(
            model(batch.text, batch.images),
            model.head(),
            batch.targets,
            batch.loss_weights / count,
            max_supervised=batch.targets.shape[1],
        )
        return answers.loss, count

    def run(rows: list[Encoded], max_tokens: int, max_patches: int):
        (loss, count), grads = function(params, pad(rows, max_tokens, max_patches))
        return float(loss), float(count), grads

    return run


def make_samples(layouts) -> list[Sample]:
    rng = np.random.default_rng(0)
    samples = []
    for number, sizes in enumerate(layouts):
        turns = [
            Turn(f"How far is ({x}, {y})?", f"{x / 7:.2f} m")
            for x, y in rng.integers(0, 2000, (2 + number % 2, 2))
        ]
        images = tuple(textured_image(rng, *size) for size in sizes)
        samples.append(Sample(images, tuple(turns), f"sample {number}"))
    return samples


@pytest.mark.parametrize("questions", ["turns", "independent"])
@pytest.mark.parametrize("layouts", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_packed_loss_and_gradients_are_the_unpacked_ones(
    layouts, questions, encoder, loss_and_grads
):
    alone = [encoder.encode(sample, questions) for sample in make_samples(layouts)]
    first, second = join(alone[:-1]), join(alone[-1:] + alone[:1])
    loss, count, grads = loss_and_grads([*alone, alone[0]], 224, 64)
    packed_loss, packed_count, packed_grads = loss_and_grads([first, second], 512, 128)
    assert packed_count == count > 20
    assert packed_loss == pytest.approx(loss, rel=1e-5)
    assert_close(packed_grads, grads)


@pytest.mark.parametrize("sizes", [[(64, 96)], [(64, 96), (32, 64)], []])
def test_independent_questions_lose_as_much_as_single_ones(sizes, encoder, loss_and_grads):
    (sample,) = make_samples([sizes])
    single = [encoder.encode(sample.alone(i)) for i in range(len(sample.turns))]
    together = encoder.encode(sample, "independent")
    other = encoder.encode(make_samples([[(64, 64)]])[0], "independent")
    loss, count, grads = loss_and_grads([together], 512, 128)
    losses, counts, all_grads = zip(
        *(loss_and_grads([row], 224, 64) for row in single), strict=True
    )
    assert count == sum(counts)
    assert loss * count == pytest.approx(np.dot(losses, counts), rel=1e-5)
    assert_close(grads, jax.tree.map(lambda *g: np.average(g, 0, counts), *all_grads))

    # The same when the questions share a row with another sample.
    packed, packed_count, _ = loss_and_grads([join([other, together])], 512, 128)
    other_loss, other_count, _ = loss_and_grads([other], 512, 128)
    expected = np.dot(losses, counts) + other_loss * other_count
    assert packed * packed_count == pytest.approx(expected, rel=1e-5)


def assert_close(found, expected) -> None:
    """Each gradient within 1e-5 of its own largest value."""
    for (path, a), b in zip(
        jax.tree.leaves_with_path(found), jax.tree.leaves(expected), strict=True
    ):
        scale = np.abs(b).max()
        np.testing.assert_allclose(
            a, b, rtol=0, atol=1e-5 * scale, err_msg=jax.tree_util.keystr(path)
        )
