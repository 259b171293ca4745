"""Trees of the first number against teacher-forced passes of transformers."""

import numpy as np
import pytest
import torch

from tests.compilations import compilations
from tests.decoding.cases import as_number, mixed_samples
from vlm3_jax.data.encoder import Encoder
from vlm3_jax.decoding import certainty
from vlm3_jax.decoding.branching import LEVELS
from vlm3_jax.decoding.certainty import Tree, first_number
from vlm3_jax.decoding.config import DecodingConfig
from vlm3_jax.decoding.load import load_decoder
from vlm3_jax.parallel.mesh import MeshConfig

BRANCHES = 3


def decoder_of(folder, **settings):
    config = DecodingConfig(**{"questions": 2, "images": 2, "max_new_tokens": 12} | settings)
    return load_decoder(str(folder), "float32", MeshConfig(), config)


@pytest.fixture(scope="module", autouse=True)
def _numbers_everywhere():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Encoder, "decode", lambda self, tokens: "".join(map(as_number, tokens)))
        patch.setattr(certainty, "_LEAST_MASS", 1e-9)  # A random model is sure of nothing.
        yield


@pytest.fixture(scope="module")
def samples():
    return mixed_samples()


@pytest.fixture(scope="module")
def answers(lively_hf, samples):
    """Five questions, more than there are rows, with branches; and what a second run compiled."""
    encoder, decoder = decoder_of(lively_hf, branches=BRANCHES)
    groups = [encoder.encode_prompts(sample) for sample in samples]
    first = list(decoder.answer(groups))
    with compilations() as names:
        again = list(decoder.answer(groups))
    assert again == first
    return first, names


def logits_after(reference, sample, tokens: list[int]) -> np.ndarray:
    """Log-probabilities of what follows a prompt and so many tokens of an answer."""
    inputs = reference.inputs(sample)
    inputs["input_ids"] = torch.cat([inputs["input_ids"], torch.tensor([tokens]).long()], dim=1)
    inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    if "mm_token_type_ids" in inputs:
        inputs["mm_token_type_ids"] = torch.nn.functional.pad(
            inputs["mm_token_type_ids"], (0, len(tokens))
        )
    with torch.no_grad():
        return reference.model(**inputs).logits[0, -1].log_softmax(-1).numpy()


def their_tree(reference, sample, answer: tuple[int, ...]) -> tuple[Tree, int]:
    """The same tree, every prefix of which is a forward pass of its own; and its levels."""
    start = first_number(answer, as_number)
    tree = Tree(start, -1, BRANCHES, as_number)
    paths = {(0,): []}
    while tree.open:
        rows = []
        for prefix in tree.open:
            if prefix.nodes != (0,):
                paths[prefix.nodes] = [*paths[prefix.nodes[:-1]], prefix.token]
            said = logits_after(reference, sample, [*answer[:start], *paths[prefix.nodes]])
            likely = np.argsort(-said)[:16]
            rows.append((likely, said[likely]))
        tree.grow(*map(np.stack, zip(*rows, strict=True)))
    return tree, max(map(len, paths))


def test_probabilities_are_those_of_transformers(answers, samples, reference):
    alone = [sample.alone(i) for sample in samples for i in range(len(sample.turns))]
    starts, levels = set(), set()
    for answer, sample in zip(answers[0], alone, strict=True):
        starts.add(first_number(answer.token_ids, as_number))
        theirs, depth = their_tree(reference, sample, answer.token_ids)
        levels.add(depth)
        assert [one.value for one in answer.values] == [one.value for one in theirs.values]
        np.testing.assert_allclose(
            [one.probability for one in answer.values],
            [one.probability for one in theirs.values],
            atol=1e-5,
            rtol=1e-3,
        )
        assert answer.unexplained == pytest.approx(theirs.unexplained, abs=1e-4)
    assert len(starts) > 1 and max(levels) == LEVELS


def test_masses_and_what_they_leave_out_are_one(answers):
    for answer in answers[0]:
        mass = sum(one.probability for one in answer.values)
        assert 0 < mass <= 1 and mass + answer.unexplained == pytest.approx(1, abs=1e-5)


def test_nothing_is_compiled_after_the_first_batch(answers):
    assert answers[1] == []


@pytest.mark.parametrize(
    "settings", [{}, {"refill": False, "questions": 3}, {"share_prefix": False, "draft_tokens": 0}]
)
def test_greedy_answers_do_not_change(lively_hf, answers, samples, settings):
    encoder, decoder = decoder_of(lively_hf, **settings)
    plain = list(decoder.answer(encoder.encode_prompts(sample) for sample in samples))
    assert [one.token_ids for one in plain] == [one.token_ids for one in answers[0]]
    assert all(one.values == () and one.unexplained == 1 for one in plain)
