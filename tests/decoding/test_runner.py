import pytest

from tests.decoding.cases import ask
from tests.tiny import textured_image
from vlm3_jax.decoding.config import DecodingConfig
from vlm3_jax.decoding.load import load_decoder
from vlm3_jax.errors import BadInput
from vlm3_jax.parallel.mesh import MeshConfig


def answers(folder, samples, images, questions):
    """Token ids of all answers, and how many programs were compiled for them."""
    config = DecodingConfig(images=images, questions=questions, max_new_tokens=12)
    encoder, decoder = load_decoder(str(folder), "float32", MeshConfig(), config)
    found = decoder.answer(encoder.encode_prompts(sample) for sample in samples)
    return [answer.token_ids for answer in found], decoder._generate._cache_size()


def test_order_and_batching_do_not_change_answers(lively_hf, rng):
    """Groups of 5, 1, 2 and 1 questions: cut, filled up, and a last batch that is not full."""
    samples = [
        ask(f"sample {i}", [textured_image(rng, 64, 96)], *(f"Question {i} {k}?" for k in range(n)))
        for i, n in enumerate((5, 1, 2, 1))
    ]
    together, programs = answers(lively_hf, samples, images=3, questions=2)
    assert programs == 1
    assert together == answers(lively_hf, samples, images=1, questions=5)[0]
    assert len(set(together)) == len(together) == 9


def test_one_program_for_sizes_in_one_bucket(lively_hf, rng):
    sizes = [(96, 224), (128, 160), (96, 192)]  # 21, 20 and 18 visual tokens.
    samples = [ask(f"{size}", [textured_image(rng, *size)], "How far?") for size in sizes]
    samples += [ask("text only", [], "And without an image?")]
    found, programs = answers(lively_hf, samples, images=1, questions=1)
    assert len(found) == 4
    assert programs == 2  # With and without images.


def test_prompts_are_drawn_only_as_they_are_needed(lively_hf):
    config = DecodingConfig(images=1, questions=1, max_new_tokens=2)
    encoder, decoder = load_decoder(str(lively_hf), "float32", MeshConfig(), config)
    drawn = []

    def groups():
        for i in range(10):
            drawn.append(i)
            yield encoder.encode_prompts(ask(f"{i}", [], f"Question {i}?"))

    next(decoder.answer(groups()))
    assert len(drawn) == 2  # The batch that is answered and the one that runs behind it.


def test_no_prompts_no_answers(lively_hf):
    assert answers(lively_hf, [], images=1, questions=1) == ([], 0)


@pytest.mark.parametrize("field", ["images", "questions", "max_new_tokens"])
def test_sizes_must_be_positive(field):
    with pytest.raises(BadInput, match=f"{field} is 0, but must be at least 1"):
        DecodingConfig(**{field: 0})
