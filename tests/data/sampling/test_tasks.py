from dataclasses import replace

import numpy as np
import pytest

from tests.data.sampling.records import CAMERAS, MOVE, TURN, pair, png, region
from tests.data.sampling.test_depth import record as view
from vlm3_jax.data import images
from vlm3_jax.data.sampling import (
    CorrespondenceSampling,
    DepthSampling,
    ObjectsSampling,
    PoseSampling,
    Samplings,
    evaluation_sample,
    training_sample,
)
from vlm3_jax.errors import BadInput
from vlm3_jax.tasks import correspondence, objects, pose

OTHERS = [
    (CorrespondenceSampling(longer_side=60), pair()),
    (PoseSampling(focal=45.0), pair()),
    (ObjectsSampling(focal=45.0), region()),
]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize(("sampling", "record"), OTHERS)
def test_what_is_trained_on_is_what_is_asked(sampling, record):
    asked, questions = evaluation_sample(sampling, record, rng())
    assert asked.key == record.key and all(turn.answer is None for turn in asked.turns)
    assert [turn.prompt for turn in asked.turns] == [q.prompt for q in questions]
    trained = training_sample(sampling, record, rng())
    assert sorted(turn.answer for turn in trained.turns) == sorted(q.answer for q in questions)
    for one, two in zip(trained.images, asked.images, strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize(("sampling", "record"), OTHERS)
def test_the_generator_decides_and_the_control_shows_other_images(sampling, record):
    few = replace(
        sampling,
        **{name: 2 for name in vars(sampling) if name.startswith("questions_per")},
    )
    drawn = {tuple(q.prompt for q in few.ask(record, rng(i), vary=False)) for i in range(30)}
    assert len(drawn) > 5 and {len(prompts) for prompts in drawn} == {2}
    assert few.ask(record, rng(4), vary=True) == few.ask(record, rng(4), vary=True)
    if record.KIND == "region":
        other = replace(record, image=png(9, 64, 48))
    else:
        other = replace(record, images=record.images[::-1], cameras=record.cameras[::-1])
    control, questions = evaluation_sample(few, record, rng(), shown=other)
    assert questions == few.ask(record, rng(), vary=False)
    np.testing.assert_array_equal(control.images[0], few.show(other)[0])


@pytest.mark.parametrize(
    ("sampling", "record"),
    [
        *OTHERS,
        (DepthSampling(focal=45.0), view()),
        (ObjectsSampling(), region(camera=None)),
    ],
)
def test_images_are_shown_by_the_backend_that_is_named(sampling, record, monkeypatch):
    exact = sampling.show(record)
    used = []

    def spy(function):
        def call(*args):
            used.append(args[-1])
            return function(*args)

        return call

    for module in ("shown", "sampling.objects"):
        monkeypatch.setattr(f"vlm3_jax.data.{module}.decode", spy(images.decode))
    monkeypatch.setattr("vlm3_jax.data.shown.resize", spy(images.resize))
    fast = training_sample(sampling, record, rng(), "fast").images
    assert set(used) == {"fast"}
    for one, two in zip(fast, exact, strict=True):
        np.testing.assert_array_equal(one, two)
    used.clear()
    evaluation_sample(sampling, record, rng())
    assert set(used) == {"exact"}


def test_correspondences_are_asked_in_the_direction_wanted():
    record = pair()
    for question in CorrespondenceSampling().ask(record, rng(), vary=False):
        x1, y1 = question.point_xy
        assert question.truth_xy == (3 * x1, x1 + 1) and y1 == 2 * x1
        assert question.prompt.startswith(correspondence.PROMPT[:60])
    both = CorrespondenceSampling(questions_per_pair=None, directions="both")
    questions = [q for i in range(20) for q in both.ask(record, rng(i), vary=False)]
    backward = [q for q in questions if q.prompt.startswith(correspondence.BACKWARD_PROMPT[:60])]
    assert 0.35 < len(backward) / len(questions) < 0.65
    assert all(q.point_xy == (3 * q.truth_xy[0], q.truth_xy[0] + 1) for q in backward)


def test_a_thought_is_asked_for_and_given():
    (question, *_) = CorrespondenceSampling(think=True).ask(pair(), rng(), vary=False)
    assert question.prompt.endswith(correspondence.THINK_SUFFIX)
    assert question.answer.startswith("<think>")


def test_images_of_a_pair_have_the_longer_side_or_the_focal_length():
    sizes = [image.shape for image in CorrespondenceSampling(longer_side=80).show(pair())]
    assert sizes == [(60, 80, 3), (57, 80, 3)]
    sizes = [image.shape for image in PoseSampling(focal=100.0).show(pair())]
    assert sizes == [(96, 128, 3), (100, 140, 3)]


def test_poses_are_asked_for_in_released_words_and_trained_in_many():
    sampling = PoseSampling()
    questions = sampling.ask(pair(), rng(), vary=False)
    assert [q.prompt for q in questions] == [pose.RELEASED[kind] for kind in pose.KINDS]
    truth = {q.kind: q.truth for q in questions}
    assert truth["angle"][0] == pytest.approx(np.degrees(TURN.magnitude()))
    np.testing.assert_allclose(truth["direction"], MOVE / np.linalg.norm(MOVE))
    assert truth["distance"][0] == pytest.approx(np.linalg.norm(MOVE))
    words = {q.prompt for i in range(60) for q in sampling.ask(pair(), rng(i), vary=True)}
    assert len(words) >= 20


@pytest.mark.parametrize(
    ("scale", "asked"), [("metric", 4), ("estimated_metric", 4), ("colmap", 3)]
)
def test_a_distance_is_asked_only_where_it_is_in_metres(scale, asked):
    assert len(PoseSampling().ask(pair(scale_type=scale), rng(), vary=False)) == asked


def test_questions_about_objects_name_only_their_own_boxes():
    questions = ObjectsSampling().ask(region(), rng(), vary=False)
    of = {q.category: q for q in questions}
    boxes = [objects.box_text(box, 64, 48) for box in region().boxes_xyxy]
    assert of["width_data"].prompt == f"How wide is {boxes[1]}?"
    assert of["width_data"].truth == 1.5 and of["width_data"].regions == (boxes[1],)
    assert of["behind_predicate"].truth is False
    assert of["behind_predicate"].regions == (boxes[2], boxes[0])
    assert of["tall_choice"].truth == 1  # The second that the question names.
    assert of[""].truth is None and of[""].answer == "A chair."


def test_without_intrinsics_an_image_is_shown_as_it_is():
    assert ObjectsSampling(focal=100.0).show(region())[0].shape == (96, 128, 3)
    assert ObjectsSampling(focal=100.0).show(region(camera=None))[0].shape == (48, 64, 3)


def test_a_record_with_nothing_to_ask_gives_no_training_sample():
    assert training_sample(CorrespondenceSampling(), pair(matches=0), rng()) is None
    asked, questions = evaluation_sample(CorrespondenceSampling(), pair(matches=0), rng())
    assert asked.turns == () and questions == []


def test_bad_records_are_named():
    wrong = replace(pair(), cameras=CAMERAS[::-1])
    with pytest.raises(BadInput, match=r"image 1 of toy/scene/0-1 is 64x48, but .* 56x40"):
        PoseSampling().show(wrong)
    unknown = replace(region(), categories=("radius", "", "", ""))
    with pytest.raises(BadInput, match="toy/scene/0: 'radius' is no category"):
        ObjectsSampling().ask(unknown, rng(), vary=False)


@pytest.mark.parametrize(
    ("cls", "settings"),
    [
        (CorrespondenceSampling, {"longer_side": 1}),
        (CorrespondenceSampling, {"questions_per_pair": 0}),
        (PoseSampling, {"focal": float("nan")}),
        (PoseSampling, {"questions_per_pair": -1}),
        (ObjectsSampling, {"focal": 0.0}),
        (ObjectsSampling, {"questions_per_image": 0}),
    ],
)
def test_settings_that_cannot_be_used_are_refused(cls, settings):
    (name,) = settings
    with pytest.raises(BadInput, match=f"^{name} is "):
        cls(**settings)


def test_every_task_has_its_sampling():
    samplings = Samplings(depth=DepthSampling(focal=3.0))
    assert samplings.of("depth").focal == 3.0
    assert samplings.of("pose") == PoseSampling()
