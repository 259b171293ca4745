from dataclasses import replace

import numpy as np
import pytest

from vlm3_jax.data.chat import Sample, Turn
from vlm3_jax.decoding.certainty import ValueMass
from vlm3_jax.decoding.runner import Answer
from vlm3_jax.errors import BadInput
from vlm3_jax.evaluation.cache import ANSWERS, AnswerCache, question_keys

IDENTITY = {"checkpoint": "abc", "dtype": "float32", "decoding": {"max_new_tokens": 20}}
FIRST = Answer((1, 2, 3), True, -0.1 - 0.2)
SECOND = Answer((4,), False, -1e-9, (ValueMass(1.5, 0.25),), 0.75)


def filled(folder) -> AnswerCache:
    cache = AnswerCache(folder, IDENTITY)
    cache.put("a", FIRST)
    cache.put("b", SECOND)
    return cache


def test_answers_come_back_as_they_were(tmp_path):
    filled(tmp_path / "new")
    again = AnswerCache(tmp_path / "new", IDENTITY)
    assert (again.get("a"), again.get("b"), again.get("c")) == (FIRST, SECOND, None)
    assert len(again) == 2


def test_nothing_is_made_before_an_answer_comes(tmp_path):
    AnswerCache(tmp_path / "new", IDENTITY)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("cut", [1, 10, 60])
def test_a_line_that_was_cut_off_is_asked_again(tmp_path, cut):
    filled(tmp_path)
    path = tmp_path / ANSWERS
    path.write_bytes(path.read_bytes()[:-cut])
    cache = AnswerCache(tmp_path, IDENTITY)
    assert cache.get("a") == FIRST and cache.get("b") is None
    cache.put("b", SECOND)
    cache.put("c", FIRST)
    again = AnswerCache(tmp_path, IDENTITY)
    assert [again.get(key) for key in "abc"] == [FIRST, SECOND, FIRST]


def test_a_first_line_that_was_cut_off_is_none(tmp_path):
    filled(tmp_path)
    path = tmp_path / ANSWERS
    path.write_bytes(path.read_bytes()[:20])
    AnswerCache(tmp_path, IDENTITY).put("a", FIRST)
    assert AnswerCache(tmp_path, IDENTITY).get("a") == FIRST


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"checkpoint": "def"}, "answers.checkpoint"),
        ({"dtype": "bfloat16"}, "answers.dtype"),
        ({"decoding": {"max_new_tokens": 9}}, "answers.decoding.max_new_tokens (20 there, 9 here)"),
    ],
)
def test_answers_of_something_else_are_refused(tmp_path, change, named):
    filled(tmp_path)
    before = (tmp_path / ANSWERS).read_bytes()
    with pytest.raises(BadInput) as error:
        AnswerCache(tmp_path, IDENTITY | change)
    assert named in str(error.value) and "name another --workdir" in str(error.value)
    assert (tmp_path / ANSWERS).read_bytes() == before


def test_another_file_of_that_name_is_left_alone(tmp_path):
    (tmp_path / ANSWERS).write_text('{"question": 1}\n')
    with pytest.raises(BadInput, match="holds no answers of an evaluation"):
        AnswerCache(tmp_path, IDENTITY)


def test_keys_tell_pixels_and_prompts_apart():
    image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    sample = Sample((image,), (Turn("one"), Turn("two")), "k")
    keys = question_keys(sample)
    assert len(set(keys)) == 2 and question_keys(replace(sample, key="other name")) == keys
    other = image.copy()
    other[1, 3, 2] += 1
    for images in ((other,), (image, image), (image.reshape(4, 2, 3),), ()):
        assert not set(question_keys(replace(sample, images=images))) & set(keys)
    assert question_keys(replace(sample, turns=sample.turns[::-1])) == keys[::-1]


def test_a_question_that_comes_twice_is_two():
    sample = Sample((), (Turn("one"), Turn("one")), "k")
    first, second = question_keys(sample)
    assert first != second
    assert question_keys(replace(sample, turns=sample.turns[:1])) == [first]
