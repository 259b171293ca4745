"""Token ids against transformers' `generate`, in float32."""

import json
import shutil

import numpy as np
import pytest

from tests.decoding.cases import NEW_TOKENS, ask, mixed_samples, our_answers
from tests.decoding.reference import liveliness
from vlm3_jax.data.images import decode, resize
from vlm3_jax.decoding.load import read_stop_tokens
from vlm3_jax.geometry.camera import Camera, unify_focal
from vlm3_jax.tasks import depth


def theirs(reference, samples, stop_tokens) -> list[tuple[int, ...]]:
    alone = [sample.alone(i) for sample in samples for i in range(len(sample.turns))]
    return [tuple(reference.generate(sample, NEW_TOKENS, stop_tokens)) for sample in alone]


def test_same_tokens_as_transformers(lively_hf, reference):
    samples = mixed_samples()
    expected = theirs(reference, samples, list(read_stop_tokens(lively_hf)))
    assert [answer.token_ids for answer in our_answers(lively_hf, samples)] == expected
    # The test could not fail if answers were all alike or one token repeated.
    assert liveliness(expected) > 0.8
    assert len({answer[:8] for answer in expected}) == len(expected)


def test_stop_token_ends_an_answer_early(lively_hf, reference, tmp_path):
    samples = mixed_samples()
    free = theirs(reference, samples, [-1])
    # A token that one answer says early; others say it later or never.
    stop = free[0][9]
    folder = with_stop_tokens(lively_hf, tmp_path / "stops", stop)
    expected = theirs(reference, samples, [stop])
    answers = our_answers(folder, samples)
    assert [answer.token_ids for answer in answers] == expected
    assert [answer.finished for answer in answers] == [stop in answer for answer in free]
    lengths = [len(answer.token_ids) for answer in answers]
    assert min(lengths) <= 10 and max(lengths) == NEW_TOKENS


def test_several_stop_tokens(lively_hf, reference, tmp_path):
    samples = mixed_samples()
    free = theirs(reference, samples, [-1])
    stops = [answer[2 + 3 * i] for i, answer in enumerate(free)]
    folder = with_stop_tokens(lively_hf, tmp_path / "stops", stops)
    answers = our_answers(folder, samples)
    assert [answer.token_ids for answer in answers] == theirs(reference, samples, stops)
    assert all(answer.finished for answer in answers)
    assert len({len(answer.token_ids) for answer in answers}) > 1


def with_stop_tokens(source, folder, stop_tokens):
    shutil.copytree(source, folder)
    path = folder / "generation_config.json"
    settings = json.loads(path.read_text()) | {"eos_token_id": stop_tokens}
    path.write_text(json.dumps(settings))
    return folder


@pytest.mark.parametrize(
    ("focal", "count"), [(100.0, 4), pytest.param(300.0, 20, marks=pytest.mark.slow)]
)
def test_same_tokens_on_real_images(lively_hf, reference, ibims1, focal, count):
    lines = (ibims1 / "ibims1.jsonl").read_text().splitlines()[:: 60 // count][:count]
    samples = []
    for i, line in enumerate(map(json.loads, lines)):
        camera = Camera.from_array(line["intrinsics"])
        unified = unify_focal(camera, focal)
        image = decode((ibims1 / line["image"]).read_bytes(), line["image"])
        shown = resize(image, unified.width, unified.height)
        points = np.array(line["pixel_coords"][i : i + 1])
        samples.append(ask(line["image"], [shown], *depth.prompts(camera, unified, points)))
    assert len(samples) == count
    expected = theirs(reference, samples, list(read_stop_tokens(lively_hf)))
    assert [a.token_ids for a in our_answers(lively_hf, samples, images=8, questions=1)] == expected
    assert len({answer[:8] for answer in expected}) == count
