import jax
import numpy as np
import pytest
import torch

from vlm3_jax.training.loss import answer_loss


def test_equals_torch_over_the_whole_batch(rng):
    logits = 3 * rng.normal(size=(3, 7, 11)).astype(np.float32)
    targets = rng.integers(0, 11, (3, 7)).astype(np.int32)
    targets[0, :3] = logits[0, :3].argmax(-1)
    # Unequal numbers of answer tokens: the mean over rows would be another one.
    weights = np.zeros((3, 7), np.float32)
    weights[0, :5], weights[1, 2:3] = 1, 1

    labels = torch.tensor(np.where(weights > 0, targets, -100)).long()
    theirs = torch.tensor(logits, requires_grad=True)
    expected = torch.nn.functional.cross_entropy(theirs.flatten(0, 1), labels.flatten())
    expected.backward()

    ours = answer_loss(logits, targets, weights)
    grad = jax.grad(lambda x: answer_loss(x, targets, weights).loss)(logits)
    assert float(ours.loss) == pytest.approx(expected.item(), rel=1e-6)
    np.testing.assert_allclose(grad, theirs.grad.numpy(), atol=1e-6)
    correct = (logits.argmax(-1) == targets)[weights > 0].mean()
    assert float(ours.accuracy) == pytest.approx(correct)
    assert 0 < correct < 1
    assert float(ours.num_supervised) == 6


def test_no_answer_gives_zero():
    nothing = answer_loss(np.ones((1, 2, 3), np.float32), np.zeros((1, 2), int), np.zeros((1, 2)))
    assert [float(value) for value in nothing] == [0, 0, 0]
