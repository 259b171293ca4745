from itertools import repeat

import numpy as np
import pytest

from tests.evaluation.records import ScriptedDecoder, make_records
from vlm3_jax.data.encoder import Encoder
from vlm3_jax.data.sampling import DepthSampling
from vlm3_jax.errors import BadInput
from vlm3_jax.evaluation.benchmark import predict_depth
from vlm3_jax.evaluation.config import DatasetConfig, EvalConfig
from vlm3_jax.tasks import depth


@pytest.fixture(scope="module")
def encoder(tiny_hf) -> Encoder:
    return Encoder.from_folder(tiny_hf)


def settings(focal: float = 100.0, count: int | None = 3, **changes) -> EvalConfig:
    sampling = DepthSampling(focal=focal, questions_per_image=count)
    return EvalConfig(DatasetConfig("data", "made"), sampling, **changes)


def predict(config, records, encoder, texts=None):
    """Predictions, and the prompts that led to them; answers are empty if no texts are given."""
    decoder = ScriptedDecoder(encoder.tokenizer, repeat("") if texts is None else texts)
    return predict_depth(config, records, encoder, decoder), decoder.groups


def test_questions_are_of_their_view_in_order(encoder):
    records = make_records(4)
    predictions, groups = predict(settings(), records, encoder)
    assert [p.image for p in predictions] == [r.key for r in records for _ in range(3)]
    assert [len(group) for group in groups] == [3] * 4
    for prediction in predictions:
        record = records[int(prediction.image[-1])]
        (place,) = np.flatnonzero((record.points_xy == np.float32(prediction.point_xy)).all(axis=1))
        assert prediction.truth == record.depth_m[place]
        assert prediction.shown_image == prediction.image
    prompts = [encoder.decode(prompt.text.tokens) for group in groups for prompt in group]
    for prediction, prompt in zip(predictions, prompts, strict=True):
        assert prediction.prompt in prompt


def test_answers_are_parsed_and_judged_against_their_own_question(encoder):
    records = make_records(2)
    truths = [p.truth for p in predict(settings(), records, encoder)[0]]
    factors = [1.0, 1.2, 1.3, 0.81, 0.79, 1.0]
    texts = [depth.format_answer(f * t) for f, t in zip(factors, truths, strict=True)]
    texts[5] = "<answer> -1 </answer>"
    predictions, _ = predict(settings(), records, encoder, texts)
    assert [p.answer for p in predictions] == texts
    assert [p.score for p in predictions] == [1, 1, 0, 1, 0, 0]
    assert [p.parsed for p in predictions] == [depth.parse_answer(text) for text in texts]
    assert predictions[5].parsed == -1
    unparsed, _ = predict(settings(), records, encoder, ["it is far"] * 6)
    assert {(p.parsed, p.score) for p in unparsed} == {(None, 0)}


def test_points_depend_on_the_seed_and_the_view_alone(encoder):
    records = make_records(4)

    def points(config, source=records):
        return [p.point_xy for p in predict(config, source, encoder)[0]]

    assert points(settings()) == points(settings())
    assert points(settings()) != points(settings(seed=1))
    assert points(settings())[:6] == points(settings(), records[:2])
    every = points(settings(count=None))
    assert len(set(every)) == len(every) == 4 * 5


def test_every_view_draws_its_own_points(encoder):
    records = make_records(6)
    predictions, _ = predict(settings(), records, encoder)
    drawn = [
        [record.depth_m.tolist().index(p.truth) for p in predictions[3 * i : 3 * i + 3]]
        for i, record in enumerate(records)
    ]
    assert len(set(map(tuple, drawn))) > 1


def test_swapped_images_keep_the_questions(encoder):
    records = make_records(5)
    own, own_groups = predict(settings(), records, encoder)
    swapped, groups = predict(settings(swap_images=True), records, encoder)
    assert [(p.image, p.prompt, p.truth) for p in swapped] == [
        (p.image, p.prompt, p.truth) for p in own
    ]
    assert all(p.shown_image != p.image for p in swapped)
    keys = [record.key for record in records]
    assert {p.shown_image for p in swapped} == set(keys)  # Each is shown to some other view.
    for prediction, group in zip(swapped[::3], groups, strict=True):
        shown = own_groups[keys.index(prediction.shown_image)][0].images.patches
        np.testing.assert_array_equal(group[0].images.patches, shown)


def test_one_image_cannot_be_swapped(encoder):
    with pytest.raises(BadInput, match="swap_images needs at least two images"):
        predict(settings(swap_images=True), make_records(1), encoder)


def test_views_without_points_ask_nothing(encoder):
    records = make_records(1) + make_records(1, points=0) + make_records(1)
    assert len(predict(settings(), records, encoder)[0]) == 6
    with pytest.raises(BadInput, match="no labelled point"):
        predict(settings(), make_records(2, points=0), encoder)
