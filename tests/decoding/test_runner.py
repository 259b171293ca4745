import pytest
import torch

from tests.compilations import compilations
from tests.decoding.cases import ask, our_answers
from tests.tiny import textured_image
from vlm3_jax.decoding.config import DecodingConfig
from vlm3_jax.decoding.load import load_decoder
from vlm3_jax.errors import BadInput
from vlm3_jax.parallel.mesh import MeshConfig


def answers(folder, samples, **settings):
    """Token ids of all answers, and the names of the programs that were compiled for them."""
    config = DecodingConfig(**{"max_new_tokens": 12, "draft_tokens": 0} | settings)
    encoder, decoder = load_decoder(str(folder), "float32", MeshConfig(), config)
    with compilations() as names:
        found = list(decoder.answer(encoder.encode_prompts(sample) for sample in samples))
    return [answer.token_ids for answer in found], names


def several(rng, *counts: int) -> list:
    """Samples of the given numbers of questions."""
    return [
        ask(f"sample {i}", [textured_image(rng, 64, 96)], *(f"Question {i} {k}?" for k in range(n)))
        for i, n in enumerate(counts)
    ]


def test_order_and_batching_do_not_change_answers(lively_hf, rng):
    """Questions that wait for a row, images that wait for a place, and places left empty."""
    samples = several(rng, 5, 1, 2, 1)
    together, _ = answers(lively_hf, samples, images=3, questions=2)
    assert together == answers(lively_hf, samples, images=1, questions=5)[0]
    assert len(set(together)) == len(together) == 9


def test_nothing_is_compiled_after_the_first_batch(lively_hf, rng):
    """Other images and questions of the same sizes, or smaller, run in the same programs."""
    config = DecodingConfig(images=2, questions=3, max_new_tokens=12)
    encoder, decoder = load_decoder(str(lively_hf), "float32", MeshConfig(), config)
    samples = several(rng, 3, 1, 3, 7, 2, 3, 4, 1)
    groups = [encoder.encode_prompts(sample) for sample in samples]
    with compilations() as names:
        list(decoder.answer(groups[:2]))
    assert {"jit(admit)", "jit(ask)", "jit(advance)"} <= set(names)
    with compilations() as names:
        assert len(list(decoder.answer(groups))) == 24
    assert names == []


def test_larger_prompts_get_larger_programs(lively_hf, rng):
    """An image that does not fit waits until the others are answered."""
    small, large = (
        ask("small", [textured_image(rng, 64, 96)], "How far?", "And this?"),
        ask(
            "large", [textured_image(rng, 320, 352)], "How far is it? " * 10, "And how far is this?"
        ),
    )
    alone = [answers(lively_hf, [sample], images=1)[0] for sample in (small, large, small)]
    together, names = answers(lively_hf, [small, large, small], images=1)
    assert together == [answer for some in alone for answer in some]
    assert names.count("jit(advance)") == 2


def test_prompts_are_drawn_only_as_they_are_needed(lively_hf):
    config = DecodingConfig(images=1, questions=1, max_new_tokens=2, draft_tokens=0)
    encoder, decoder = load_decoder(str(lively_hf), "float32", MeshConfig(), config)
    drawn = []

    def groups():
        for i in range(10):
            drawn.append(i)
            yield encoder.encode_prompts(ask(f"{i}", [], f"Question {i}?"))

    next(decoder.answer(groups()))
    assert len(drawn) == 2  # The one that is answered and the one behind it.


def test_no_prompts_no_answers(lively_hf):
    assert answers(lively_hf, [])[0] == []


def test_less_memory_means_fewer_questions_in_flight(lively_hf, rng, caplog):
    samples = several(rng, 8, 8)
    whole, _ = answers(lively_hf, samples, images=2, questions=8)
    with pytest.raises(BadInput, match="but 1,000 are free: use more devices"):
        answers(lively_hf, samples, memory_bytes=1000)
    config = DecodingConfig(images=2, questions=8, max_new_tokens=12, memory_bytes=2_000_000)
    encoder, decoder = load_decoder(str(lively_hf), "float32", MeshConfig(), config)
    caplog.clear()
    found = decoder.answer(encoder.encode_prompts(sample) for sample in samples)
    assert [answer.token_ids for answer in found] == whole
    assert "8 questions about each of 2 images need" in caplog.text
    assert "about each of 2 are in flight" in caplog.text


def test_log_probability_is_that_of_the_tokens(lively_hf, reference, rng):
    """Against a teacher-forced pass of transformers."""
    (sample,) = several(rng, 1)
    (answer,) = our_answers(lively_hf, [sample], max_new_tokens=12)
    inputs = reference.inputs(sample)
    length = inputs["input_ids"].shape[1]
    tokens = torch.tensor([answer.token_ids])
    inputs["input_ids"] = torch.cat([inputs["input_ids"], tokens], dim=1)
    inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    inputs["mm_token_type_ids"] = torch.nn.functional.pad(
        inputs["mm_token_type_ids"], (0, tokens.shape[1])
    )
    with torch.no_grad():
        logits = reference.model(**inputs).logits[0, length - 1 : -1]
    said = logits.log_softmax(-1).gather(1, tokens.T).sum().item()
    assert answer.log_probability == pytest.approx(said, abs=1e-3)


@pytest.mark.parametrize("field", ["images", "questions", "max_new_tokens"])
def test_sizes_must_be_positive(field):
    with pytest.raises(BadInput, match=f"{field} is 0, but must be at least 1"):
        DecodingConfig(**{field: 0})
