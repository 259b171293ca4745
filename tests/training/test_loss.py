from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from tests.training.jaxprs import equations
from tests.training.steps import MAX_SUPERVISED
from tests.training.synthetic import CONFIG, make_batch
from vlm3_jax.models import functional
from vlm3_jax.training.loss import answer_loss

ROWS, LENGTH, WIDTH, VOCABULARY = 3, 7, 5, 11
BUDGET = 5


@pytest.fixture
def case(rng):
    """Hidden states, head, targets and weights; rows with 5, 1 and no supervised positions."""
    hidden = rng.normal(size=(ROWS, LENGTH, WIDTH)).astype(np.float32)
    head = rng.normal(size=(WIDTH, VOCABULARY)).astype(np.float32)
    targets = rng.integers(0, VOCABULARY, (ROWS, LENGTH)).astype(np.int32)
    targets[0, 1:3] = (hidden @ head)[0, 1:3].argmax(-1)
    weights = np.zeros((ROWS, LENGTH), np.float32)
    weights[0, [0, 1, 2, 4, 6]], weights[1, 3] = 1, 1
    return hidden, head, targets, weights / 6


def assert_close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6 * np.abs(expected).max())


@pytest.mark.parametrize("chunk_size", [1, 4, 100])
def test_equals_torch_on_all_logits(case, chunk_size):
    hidden, head, targets, weights = case
    # The mean over all answer tokens; the mean over rows would be another one.
    labels = torch.tensor(np.where(weights > 0, targets, -100)).long()
    theirs = [torch.tensor(array, requires_grad=True) for array in (hidden, head)]
    logits = theirs[0] @ theirs[1]
    expected = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten())
    expected.backward()

    def loss(hidden, head):
        return answer_loss(hidden, head, targets, weights, BUDGET, chunk_size)

    ours, gradients = loss(hidden, head), jax.grad(lambda *x: loss(*x).loss, (0, 1))(hidden, head)
    assert float(ours.loss) == pytest.approx(expected.item(), rel=1e-6)
    for gradient, tensor in zip(gradients, theirs, strict=True):
        assert_close(gradient, tensor.grad.numpy())
    correct = ((hidden @ head).argmax(-1) == targets)[weights > 0].mean()
    assert float(ours.accuracy) == pytest.approx(correct)
    assert 0 < correct < 1


@pytest.mark.parametrize("chunk_size", [2, 100])
def test_groups_have_their_own_sums(case, chunk_size):
    hidden, head, targets, weights = case
    groups = np.array([[0, 2, 2, 1, 0, 1, 2], [1] * LENGTH, [0] * LENGTH], np.int32)

    def loss(weights, **options):
        return answer_loss(hidden, head, targets, weights, BUDGET, chunk_size, **options)

    found = loss(weights, groups=groups, num_groups=4)
    alone = [float(loss(weights * (groups == group)).loss) for group in range(4)]
    np.testing.assert_allclose(found.group_losses, alone, rtol=1e-6)
    assert min(alone[:3]) > 0 == alone[3]
    assert float(found.loss) == pytest.approx(float(loss(weights).loss), rel=1e-6)
    assert float(found.accuracy) == pytest.approx(float(loss(weights).accuracy), rel=1e-6)


def test_no_answer_gives_zero(case):
    hidden, head, targets, weights = case

    def loss(hidden):
        return answer_loss(hidden, head, targets, np.zeros_like(weights), BUDGET).loss

    assert float(loss(hidden)) == 0
    assert not np.any(jax.grad(loss)(hidden))


def chunked_loss(params, batch, weights):
    model = functional.build(CONFIG, params)
    hidden = model(batch.text, batch.images)
    return answer_loss(hidden, model.head(), batch.targets, weights, MAX_SUPERVISED, 16).loss


def plain_loss(params, batch, weights):
    model = functional.build(CONFIG, params)
    log_probs = jax.nn.log_softmax(model.logits(model(batch.text, batch.images)))
    chosen = jnp.take_along_axis(log_probs, batch.targets[..., None], -1)[..., 0]
    return -jnp.sum(chosen * weights)


@pytest.fixture
def model_case(rng):
    batch = make_batch(rng, 8)
    weights = batch.loss_weights / batch.loss_weights.sum()
    # Small random weights give a flat softmax, large ones a gradient that says something.
    params = jax.tree.map(lambda x: 1.5 * x, functional.init_params(CONFIG, 0))
    return params, batch, weights


def test_equals_the_loss_on_all_logits_of_a_model(model_case):
    expected, plain = jax.jit(jax.value_and_grad(plain_loss))(*model_case)
    found, ours = jax.jit(jax.value_and_grad(chunked_loss))(*model_case)
    assert float(found) == pytest.approx(float(expected), rel=1e-6)
    # Rounding adds up along the layers, so a gradient is compared as a whole.
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(plain), strict=True):
        assert float(jnp.linalg.norm(a - b)) <= 1e-6 * float(jnp.linalg.norm(b))


def test_logits_of_whole_rows_never_exist(model_case):
    batch = model_case[1]
    rows, length = batch.targets.shape
    largest = partial(most_logits, case=model_case, vocabulary=CONFIG.text.vocab_size)
    assert largest(plain_loss) == rows * length  # What is looked for can be found.
    assert largest(chunked_loss) == 16


def most_logits(loss, case, vocabulary: int) -> int:
    """Largest number of positions whose logits are one array, forward or backward."""
    jaxpr = jax.make_jaxpr(jax.value_and_grad(loss))(*case)
    shapes = {var.aval.shape for eqn in equations(jaxpr.jaxpr) for var in eqn.outvars}
    wide = [shape for shape in shapes if shape and shape[-1] == vocabulary]
    weights = {leaf.shape for leaf in jax.tree.leaves(case[0])}
    weights |= {shape[1:] for shape in weights} | {(CONFIG.text.hidden_size, vocabulary)}
    return max(int(np.prod(shape[:-1])) for shape in wide if shape not in weights)
