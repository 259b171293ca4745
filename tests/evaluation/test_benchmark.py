from dataclasses import replace
from itertools import repeat

import numpy as np
import pytest

from tests.data.toy import NAME, build
from tests.evaluation.records import SMALL, ScriptedDecoder, make, make_records, settings
from vlm3_jax.data.encoder import Encoder
from vlm3_jax.data.sampling import DepthSampling, PoseSampling, Samplings, evaluation_sample
from vlm3_jax.errors import BadInput
from vlm3_jax.evaluation import benchmark
from vlm3_jax.evaluation.cache import AnswerCache
from vlm3_jax.evaluation.config import Benchmark, EvalConfig
from vlm3_jax.evaluation.tasks import JUDGES
from vlm3_jax.tasks import depth

TASKS = tuple(JUDGES)


@pytest.fixture(scope="module")
def encoder(tiny_hf) -> Encoder:
    return Encoder.from_folder(tiny_hf)


def predict(config, records, encoder, folder, texts=None):
    """Predictions, and the prompts that led to them; answers are empty if no texts are given."""
    decoder = ScriptedDecoder(encoder.tokenizer, repeat("") if texts is None else texts)
    judge = JUDGES[config.benchmarks["b"].task]
    cache = AnswerCache(folder, {"checkpoint": "c"})
    return benchmark.predict("b", config, records, judge, encoder, decoder, cache), decoder.groups


def asked(config, records) -> list:
    """The questions of all records, as sampling alone asks them."""
    b = config.benchmarks["b"]
    rngs = (np.random.default_rng((b.seed, i)) for i in range(len(records)))
    return [
        evaluation_sample(b.asks, record, rng)[1] for record, rng in zip(records, rngs, strict=True)
    ]


@pytest.mark.parametrize("task", TASKS)
def test_questions_are_of_their_record_in_order(encoder, tmp_path, task):
    records, config = make(task, 3), settings(task)
    expected = asked(config, records)
    predictions, groups = predict(config, records, encoder, tmp_path)
    assert [p.judged.question for p in predictions] == [q for group in expected for q in group]
    assert [len(group) for group in groups] == [len(group) for group in expected]
    for prediction in predictions:
        assert prediction.judged.image == records[prediction.index].key == prediction.shown_image
        assert prediction.shown_index == prediction.index
    prompts = [encoder.decode(prompt.text.tokens) for group in groups for prompt in group]
    for prediction, prompt in zip(predictions, prompts, strict=True):
        assert prediction.judged.question.prompt in prompt


def test_answers_are_parsed_and_judged_against_their_own_question(encoder, tmp_path):
    records = make_records(2)
    truths = [q.truth for group in asked(settings(), records) for q in group]
    factors = [1.0, 1.2, 1.3, 0.81, 0.79, 1.0]
    texts = [depth.format_answer(f * t) for f, t in zip(factors, truths, strict=True)]
    texts[5] = "<answer> -1 </answer>"
    predictions, _ = predict(settings(), records, encoder, tmp_path, texts)
    assert [p.answer for p in predictions] == texts
    assert [p.judged.score for p in predictions] == [1, 1, 0, 1, 0, 0]
    assert [p.judged.parsed for p in predictions] == [depth.parse_answer(text) for text in texts]
    assert predictions[5].judged.parsed == -1
    unparsed, _ = predict(settings(), records, encoder, tmp_path / "2", ["it is far"] * 6)
    assert {(p.judged.parsed, p.judged.score, p.judged.is_read) for p in unparsed} == {
        (None, 0, False)
    }


def test_what_is_drawn_depends_on_the_seed_and_the_record_alone(encoder, tmp_path):
    records = make_records(4)

    def points(config, source=records):
        found, _ = predict(config, source, encoder, tmp_path)
        return [p.judged.question.point_xy for p in found]

    assert points(settings()) == points(settings())
    assert points(settings()) != points(settings(seed=1))
    assert points(settings())[:6] == points(settings(), records[:2])
    assert points(settings())[:6] == points(settings(images=2))
    assert points(settings()) == points(settings(images=99))
    every = points(settings(sampling=Samplings(DepthSampling(100.0, questions_per_image=None))))
    assert len(set(every)) == len(every) == 4 * 5


def test_every_record_draws_its_own():
    records = make_records(6)
    places = [
        tuple(record.depth_m.tolist().index(q.truth) for q in group)
        for record, group in zip(records, asked(settings(), records), strict=True)
    ]
    assert len(set(places)) > 1


@pytest.mark.parametrize("task", TASKS)
def test_swapped_images_keep_the_questions(encoder, tmp_path, task):
    records = make(task, 5)
    own, own_groups = predict(settings(task), records, encoder, tmp_path)
    config = settings(task, swap_images=True)
    swapped, groups = predict(config, records, encoder, tmp_path / "swapped")
    assert [(p.index, p.judged.question) for p in swapped] == [
        (p.index, p.judged.question) for p in own
    ]
    assert all(p.shown_image != p.judged.image for p in swapped)
    assert all(p.shown_image == records[p.shown_index].key for p in swapped)
    assert {p.shown_index for p in swapped} == set(range(5))  # Each is shown for some other one.
    shown = {p.index: p.shown_index for p in swapped}
    for index, group in enumerate(groups):
        expected = own_groups[shown[index]][0].images.patches
        np.testing.assert_array_equal(group[0].images.patches, expected)


def test_answers_that_are_there_are_not_asked_for_again(encoder, tmp_path):
    records = make_records(3)
    texts = [depth.format_answer(i + 1) for i in range(9)]
    whole, _ = predict(settings(), records, encoder, tmp_path / "whole", texts)

    def stopping():
        yield from texts[:4]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict(settings(), records, encoder, tmp_path / "part", stopping())
    again, groups = predict(settings(), records, encoder, tmp_path / "part", texts[4:])
    assert again == whole
    assert [len(group) for group in groups] == [2, 3]
    assert predict(settings(), records, encoder, tmp_path / "part", []) == (whole, [])
    # Another image, another way of showing it, and another question are asked.
    changed = (
        (settings(swap_images=True), records),
        (settings(sampling=replace(SMALL, depth=DepthSampling(80.0, False, 3))), records),
        (settings(seed=5), records[:1]),
    )
    for config, source in changed:
        assert predict(config, source, encoder, tmp_path / "part")[1]


def test_records_with_nothing_to_ask_are_passed_over(encoder, tmp_path):
    records = make_records(1) + make_records(1, points=0) + make_records(1)
    assert len(predict(settings(), records, encoder, tmp_path)[0]) == 6
    with pytest.raises(BadInput, match="b: made test has nothing to ask about"):
        predict(settings(), make_records(2, points=0), encoder, tmp_path)


def test_all_sets_that_are_missing_are_named_before_anything_is_asked(tmp_path):
    build(tmp_path)
    there = Benchmark("depth", NAME)
    benchmarks = {
        "there": there,
        "rooms": Benchmark("pose", "synthetic_rooms/pairs"),
        "again": Benchmark("correspondence", "synthetic_rooms/pairs"),
        "kind": Benchmark("objects", NAME),
        "split": Benchmark("depth", NAME, split="validation"),
        "elsewhere": Benchmark("depth", NAME, data_dir=str(tmp_path / "other")),
    }
    with pytest.raises(BadInput) as error:
        benchmark.open_sources(EvalConfig(benchmarks, data_dir=str(tmp_path)))
    message = str(error.value)
    assert message.startswith("5 of 6 benchmarks cannot be asked") and "there:" not in message
    assert "rooms, again: " in message and message.count("holds no built dataset") == 2
    assert f"tfds_builders.build synthetic_rooms/pairs --data_dir={tmp_path}`" in message
    assert "kind: " in message and "no region records" in message
    assert "split: " in message and "no records in split 'validation'" in message
    assert f"elsewhere: {tmp_path / 'other'}" in message
    only = EvalConfig({"there": there}, data_dir=str(tmp_path))
    assert len(benchmark.open_sources(only)["there"]) == 4


def test_one_image_cannot_be_swapped(tmp_path):
    build(tmp_path)
    one = {"one": Benchmark("depth", NAME, images=1)}
    config = EvalConfig(one, data_dir=str(tmp_path), swap_images=True)
    with pytest.raises(BadInput, match="one: swap_images needs at least two images"):
        benchmark.open_sources(config)


def test_settings_that_cannot_be_used_are_refused():
    with pytest.raises(BadInput, match=r"^images is 0"):
        Benchmark("depth", "made", images=0)
    with pytest.raises(BadInput, match=r"^sampling\.pose\.questions_per_pair must be None"):
        Benchmark("pose", "made", sampling=Samplings(pose=PoseSampling(questions_per_pair=2)))
    with pytest.raises(BadInput, match=r"^benchmarks is empty"):
        EvalConfig({})
    with pytest.raises(BadInput, match=r"the name 'a\.b'"):
        EvalConfig({"a.b": Benchmark("depth", "made")})
