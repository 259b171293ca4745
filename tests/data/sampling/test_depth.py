import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from tests.data import toy
from vlm3_jax.data.images import decode
from vlm3_jax.data.records import DepthRecord
from vlm3_jax.data.sampling import DepthSampling, evaluation_sample, training_sample
from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.camera import Camera
from vlm3_jax.tasks.depth import Question, parse_answer


def record(number: int = 0) -> DepthRecord:
    features = toy.example(number)
    texts = {name: x.encode() for name, x in features.items() if isinstance(x, str)}
    return DepthRecord.from_features(features | texts)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def shown_image(view: DepthRecord, sampling: DepthSampling) -> np.ndarray:
    (image,) = sampling.show(view)
    return image


def draw_questions(
    view: DepthRecord, sampling: DepthSampling, rng: np.random.Generator
) -> list[Question]:
    return sampling.ask(view, rng, vary=True)


def test_the_image_gets_the_wanted_focal_length():
    view = record()  # 64x48 at a focal length of 50.
    image = shown_image(view, DepthSampling(focal=117.0))
    assert image.shape == (112, 149, 3)  # 112.32 and 149.76, cut.
    stored = Image.fromarray(decode(view.image, view.key))
    expected = stored.resize((149, 112), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(image, np.asarray(expected))


def test_without_a_focal_length_the_image_stays_as_it_is():
    view = record()
    stored = decode(view.image, view.key)
    np.testing.assert_array_equal(shown_image(view, DepthSampling(focal=None)), stored)


def test_per_axis_unification_changes_the_aspect_ratio():
    view = record()
    view = replace(view, camera=replace(view.camera, fy=40.0))
    assert shown_image(view, DepthSampling(focal=100.0)).shape == (96, 128, 3)
    assert shown_image(view, DepthSampling(focal=100.0, per_axis=True)).shape == (120, 128, 3)


@pytest.mark.parametrize(("wanted", "given"), [(1, 1), (3, 3), (5, 5), (10, 5), (None, 5)])
def test_questions_are_drawn_without_repeats(wanted, given):
    view = record()
    questions = draw_questions(view, DepthSampling(questions_per_image=wanted), rng())
    assert len({question.truth for question in questions}) == len(questions) == given


def test_the_generator_decides_the_questions():
    view, sampling = record(), DepthSampling(questions_per_image=2)
    drawn = {tuple(q.truth for q in draw_questions(view, sampling, rng(i))) for i in range(40)}
    assert len(drawn) > 10  # Of 20 ordered pairs.
    assert draw_questions(view, sampling, rng(7)) == draw_questions(view, sampling, rng(7))


def test_questions_name_points_of_the_shown_image_and_keep_their_labels():
    view = record()
    for question in draw_questions(view, DepthSampling(focal=500.0), rng()):
        (index,) = np.flatnonzero(view.depth_m == np.float32(question.truth))
        x, y = view.points_xy[index]
        assert question.point_xy == (x, y)
        named = [int(n) for n in re.search(r"\((\d+), (\d+)\)", question.prompt).groups()]
        np.testing.assert_allclose(named, [x / 64 * 2000, y / 48 * 2000], atol=2000 / 480 + 1)
        assert parse_answer(question.answer) == pytest.approx(question.truth, abs=0.00501)


def test_a_training_sample_is_answered_and_an_evaluation_sample_is_not():
    view, sampling = record(), DepthSampling(focal=60.0, questions_per_image=3)
    trained = training_sample(sampling, view, rng())
    asked, questions = evaluation_sample(sampling, view, rng())
    assert [turn.prompt for turn in trained.turns] == [turn.prompt for turn in asked.turns]
    assert [turn.answer for turn in trained.turns] == [q.answer for q in questions]
    assert [turn.answer for turn in asked.turns] == [None] * 3
    assert trained.key == asked.key == "toy/scene0/0"
    np.testing.assert_array_equal(trained.images[0], asked.images[0])


def test_the_control_shows_another_image_and_asks_the_same():
    view, other, sampling = record(0), record(2), DepthSampling(focal=60.0)
    usual, questions = evaluation_sample(sampling, view, rng())
    control, same_questions = evaluation_sample(sampling, view, rng(), shown=other)
    assert same_questions == questions and control.turns == usual.turns
    np.testing.assert_array_equal(control.images[0], shown_image(other, sampling))
    assert control.images[0].shape != usual.images[0].shape


def test_intrinsics_of_another_size_are_refused():
    view = record()
    wrong = replace(view, camera=replace(view.camera, width=65))
    with pytest.raises(BadInput, match=r"toy/scene0/0 is 64x48, but its intrinsics are .* 65x48"):
        shown_image(wrong, DepthSampling())


@pytest.mark.parametrize(
    ("fx", "message"),
    [(1e7, "toy/scene0/0: .* would be 0x0"), (0.01, "toy/scene0/0 would be 6400000x4800000")],
)
def test_intrinsics_that_leave_no_usable_size_are_refused(fx, message):
    view = replace(record(), camera=Camera(fx, fx, 32, 24, 64, 48))
    for use in (shown_image, lambda *args: draw_questions(*args, rng())):
        with pytest.raises(BadInput, match=message):
            use(view, DepthSampling())


def test_an_image_that_does_not_decode_is_named():
    with pytest.raises(BadInput, match="toy/scene0/0 does not decode"):
        shown_image(replace(record(), image=b"\x89PNG"), DepthSampling())


@pytest.mark.parametrize(
    "settings",
    [
        {"focal": 0.0},
        {"focal": -3.0},
        {"focal": float("nan")},
        {"focal": float("inf")},
        {"questions_per_image": 0},
    ],
)
def test_settings_that_cannot_be_used_are_refused(settings):
    (name,) = settings
    with pytest.raises(BadInput, match=f"^{name} is "):
        DepthSampling(**settings)
