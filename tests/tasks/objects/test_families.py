import math

import numpy as np
import pytest

from vlm3_jax.geometry.camera import Camera
from vlm3_jax.tasks import objects
from vlm3_jax.tasks.objects.families import Fact

CAMERA = Camera(100.0, 100.0, 100.0, 50.0, 200, 100)
# A near, small thing on the left and a far, large one on the right, lower down.
BOXES = [(20, 20, 40, 60), (120, 30, 180, 90)]
NEAR, FAR = (
    "bounding box region (100, 200, 200, 600)",
    "bounding box region (600, 300, 900, 900)",
)


def depth_map() -> np.ndarray:
    depth = np.full((100, 200), 9.0)
    depth[25:56, 25:36] = 2.0
    depth[30:91, 120:181] = 4.0
    return depth


def lifted() -> list[objects.Object]:
    return objects.lift(BOXES, depth_map(), CAMERA)


def test_lift():
    near, far = lifted()
    assert (near.name, far.name) == (NEAR, FAR)
    # Pixel (30, 40) at 2 m and (150, 60) at 4 m.
    assert near.centre == pytest.approx((-1.4, -0.2, 2.0))
    assert far.centre == pytest.approx((2.0, 0.4, 4.0))
    assert (near.width, near.height) == pytest.approx((0.4, 0.8))
    assert (far.width, far.height) == pytest.approx((2.4, 2.4))


def test_what_cannot_be_lifted_is_none():
    depth = depth_map()
    depth[30:91, 120:181] = 0
    depth[25:56, 25:36] = np.nan
    boxes = [*BOXES, (20, 20, 20, 60), (300, 20, 320, 60)]
    assert objects.lift(boxes, depth, CAMERA) == [None] * 4
    assert objects.lift(np.zeros((0, 4)), depth, CAMERA) == []


def test_facts_are_those_of_the_scene():
    found = objects.facts(lifted())
    truths = {(fact.category, fact.objects): fact.truth for fact in found}
    assert len(truths) == len(found)
    for relation in ("left", "above", "front", "small", "short", "thin"):
        assert truths[f"{relation}_predicate", (0, 1)] is True
        assert truths[f"{relation}_predicate", (1, 0)] is False
    for relation in ("right", "below", "behind", "big", "tall", "wide"):
        assert truths[f"{relation}_predicate", (0, 1)] is False
        assert truths[f"{relation}_predicate", (1, 0)] is True
    assert truths["left_choice", (0, 1)] == 0 and truths["left_choice", (1, 0)] == 1
    assert truths["tall_choice", (0, 1)] == 1 and truths["below_choice", (0, 1)] == 1
    for pair in ((0, 1), (1, 0)):
        assert truths["distance_data", pair] == pytest.approx(math.sqrt(3.4**2 + 0.6**2 + 2**2))
        assert truths["horizontal_distance_data", pair] == pytest.approx(math.hypot(3.4, 2))
        assert truths["vertical_distance_data", pair] == pytest.approx(0.6)
    assert truths["width_data", (0,)] == pytest.approx(0.4)
    assert truths["height_data", (1,)] == pytest.approx(2.4)
    # 59.5 degrees to the right of straight ahead: between 1 and 2, cut to 2; back it is 8.
    assert truths["direction", (0, 1)] == 2 and truths["direction", (1, 0)] == 8
    assert {fact.category for fact in found} == set(objects.CATEGORIES)


def test_what_is_too_close_to_call_is_not_asked():
    a = objects.Object("a", (0.0, 0.0, 2.0), 1.0, 1.0)
    b = objects.Object("b", (0.15, 0.0, 2.15), 1.05, 1.05)
    categories = {fact.category for fact in objects.facts([a, b], margin=0.1)}
    # 0.15 m is less than a tenth of 2 m; both together are more. Areas differ by 9.3%.
    assert categories == {
        "distance_data",
        "horizontal_distance_data",
        "width_data",
        "height_data",
        "direction",
    }
    assert "big_predicate" in {fact.category for fact in objects.facts([a, b], margin=0.09)}


def test_boxes_that_text_cannot_tell_apart_are_not_compared():
    near, far = lifted()
    twin = objects.Object(near.name, far.centre, far.width, far.height)
    found = objects.facts([near, None, twin])
    assert {fact.objects for fact in found} == {(0,), (2,)}
    assert Fact("width_data", (0,), near.width) in found


def test_ask_draws_without_repeating(rng):
    questions = objects.ask(lifted(), 1000, rng, vary=False)
    assert len(questions) == len(objects.facts(lifted()))
    assert len({(q.prompt, q.category) for q in questions}) == len(questions)
    assert len(objects.ask(lifted(), 7, rng)) == 7
    assert objects.ask([None], 3, rng) == []


def test_ask_is_seeded():
    first, second = (objects.ask(lifted(), 20, np.random.default_rng(1)) for _ in range(2))
    assert first == second


def test_texts(rng):
    texts = {(q.category, q.regions): q for q in objects.ask(lifted(), 1000, rng, vary=False)}
    front = texts["front_predicate", (FAR, NEAR)]
    assert front.prompt == f"Is {FAR} in front of {NEAR}?"
    assert front.answer == f"No, {FAR} is not in front of {NEAR}."
    choice = texts["tall_choice", (NEAR, FAR)]
    assert choice.prompt == f"Which is taller, {NEAR} or {FAR}?"
    assert choice.answer == f"{FAR} is taller."
    width = texts["width_data", (NEAR,)]
    assert width.prompt == f"What is the width of {NEAR}?"
    assert width.answer == f"The width of {NEAR} is 40.0 centimeters."
    clock = texts["direction", (NEAR, FAR)]
    assert clock.prompt == f"If you are at {NEAR}, where will you find {FAR}?"
    assert clock.answer == f"{FAR} is at 2 o'clock from {NEAR}."


def test_wordings_vary_and_answers_do_not(rng):
    plain = {(q.category, q.regions): q for q in objects.ask(lifted(), 1000, rng, vary=False)}
    prompts = set()
    for _ in range(20):
        for question in objects.ask(lifted(), 1000, rng):
            same = plain[question.category, question.regions]
            assert (question.answer, question.truth) == (same.answer, same.truth)
            assert all(region in question.prompt for region in question.regions)
            prompts.add(question.prompt)
    assert len(prompts) == 3 * len(plain)
