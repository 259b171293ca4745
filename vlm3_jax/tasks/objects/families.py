"""SpatialRGPT's families of questions, made from boxes, a depth map and a camera.

Objects are compared in the camera's axes: x right, y down, z forward.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from vlm3_jax.geometry.camera import Camera, unproject
from vlm3_jax.geometry.clock import clock_hour
from vlm3_jax.tasks.objects.answers import format_direction, format_length
from vlm3_jax.tasks.objects.boxes import box_text
from vlm3_jax.tasks.objects.questions import CHOICES, DIRECTION, GROUPS, LENGTHS, Question
from vlm3_jax.tasks.objects.wordings import (
    CHOICE_ANSWER,
    CHOICE_QUESTIONS,
    COMPARATIVES,
    DIRECTION_ANSWER,
    DIRECTION_QUESTIONS,
    LENGTH_ANSWERS,
    LENGTH_QUESTIONS,
    NO,
    PHRASES,
    PREDICATE_QUESTIONS,
    YES,
)

# Differences below this share are not asked about: they are within the error of boxes and depths.
MARGIN = 0.1
# Shorter lengths cannot be stated to within the 25% that count as right.
_MIN_LENGTH = 0.01
# A box needs depth on this share of its inner half.
_MIN_SHARE = 0.1


@dataclass(frozen=True)
class Object:
    """A box lifted to 3D, metres."""

    name: str
    """Its box as text."""
    centre: tuple[float, float, float]
    """In the camera's frame."""
    width: float
    height: float


@dataclass(frozen=True)
class Fact:
    """What can be asked: a category, the places of its objects, and the truth."""

    category: str
    objects: tuple[int, ...]
    truth: bool | int | float


_POSITIONS = ("left", "right", "above", "below", "front", "behind")
_MEASURES: dict[str, tuple[Callable[[Object], float], bool]] = {
    # Whether the relation holds for the larger measure.
    "left": (lambda o: o.centre[0], False),
    "right": (lambda o: o.centre[0], True),
    "above": (lambda o: o.centre[1], False),
    "below": (lambda o: o.centre[1], True),
    "front": (lambda o: o.centre[2], False),
    "behind": (lambda o: o.centre[2], True),
    "big": (lambda o: o.width * o.height, True),
    "small": (lambda o: o.width * o.height, False),
    "tall": (lambda o: o.height, True),
    "short": (lambda o: o.height, False),
    "wide": (lambda o: o.width, True),
    "thin": (lambda o: o.width, False),
}


def lift(
    boxes_xyxy: Sequence[Sequence[float]] | np.ndarray, depth_map: np.ndarray, camera: Camera
) -> list[Object | None]:
    """Gives boxes a place and a size.

    An object's depth is the median over the inner half of its box, where background is rare; its
    width and height are those of the box at this depth.

    Args:
        boxes_xyxy: pixels of the image, [N, 4].
        depth_map: depth along the optical axis, metres [H, W]; 0 or NaN where there is none.
        camera: of the image.

    Returns:
        The objects in the order of the boxes, None where a box has no area or too little depth.
    """
    return [_lift(box, depth_map, camera) for box in np.asarray(boxes_xyxy, np.float64)]


def _lift(box: np.ndarray, depth_map: np.ndarray, camera: Camera) -> Object | None:
    x1, y1, x2, y2 = box.tolist()
    columns = slice(max(round((3 * x1 + x2) / 4), 0), max(round((x1 + 3 * x2) / 4), 0) + 1)
    rows = slice(max(round((3 * y1 + y2) / 4), 0), max(round((y1 + 3 * y2) / 4), 0) + 1)
    inner = np.asarray(depth_map, np.float64)[rows, columns]
    depths = inner[np.isfinite(inner) & (inner > 0)]
    if not (x2 > x1 and y2 > y1 and depths.size and depths.size >= _MIN_SHARE * inner.size):
        return None
    z = float(np.median(depths))
    return Object(
        name=box_text(box, camera.width, camera.height),
        centre=tuple(unproject(camera, [(x1 + x2) / 2, (y1 + y2) / 2], z).tolist()),
        width=(x2 - x1) / camera.fx * z,
        height=(y2 - y1) / camera.fy * z,
    )


def facts(objects: Sequence[Object | None], margin: float = MARGIN) -> list[Fact]:
    """All that can be asked about objects, in the order of `questions.CATEGORIES` of each pair.

    Args:
        objects: see `lift`; None is passed over.
        margin: share by which sizes must differ to be compared; of the nearer object's depth by
            which positions must differ.
    """
    found = []
    places = [place for place, thing in enumerate(objects) if thing is not None]
    for i, j in permutations(places, 2):
        a, b = objects[i], objects[j]
        if a.name == b.name:
            continue  # Text cannot tell them apart.
        for relation in GROUPS:
            holds = _holds(relation, a, b, margin)
            if holds is not None:
                found.append(Fact(f"{relation}_predicate", (i, j), holds))
                if relation in CHOICES:
                    found.append(Fact(f"{relation}_choice", (i, j), 0 if holds else 1))
        dx, dy, dz = (q - p for p, q in zip(a.centre, b.centre, strict=True))
        lengths = (math.hypot(dx, dy, dz), math.hypot(dx, dz), abs(dy))
        for category, length in zip(LENGTHS[:3], lengths, strict=True):
            if length >= _MIN_LENGTH:
                found.append(Fact(category, (i, j), length))
        if math.hypot(dx, dz) >= margin * min(a.centre[2], b.centre[2]):
            found.append(Fact(DIRECTION, (i, j), clock_hour(dx, dz)))
    for i in places:
        for category, length in zip(
            LENGTHS[3:], (objects[i].width, objects[i].height), strict=True
        ):
            if length >= _MIN_LENGTH:
                found.append(Fact(category, (i,), length))
    return found


def _holds(relation: str, a: Object, b: Object, margin: float) -> bool | None:
    measure, larger = _MEASURES[relation]
    first, second = measure(a), measure(b)
    position = relation in _POSITIONS
    unit = min(a.centre[2], b.centre[2]) if position else max(first, second)
    if abs(first - second) < margin * unit:
        return None
    return (first > second) == larger


def ask(
    objects: Sequence[Object | None],
    count: int,
    rng: np.random.Generator,
    *,
    vary: bool = True,
    margin: float = MARGIN,
) -> list[Question]:
    """Draws questions about objects, none twice: first a category, then a fact of it.

    Args:
        objects: see `lift`.
        count: how many; fewer come back where there is not as much to ask.
        rng: draws them.
        vary: draw a wording too, else use the first of each family.
        margin: see `facts`.
    """
    by_category: dict[str, list[Fact]] = {}
    for fact in facts(objects, margin):
        by_category.setdefault(fact.category, []).append(fact)
    questions = []
    while by_category and len(questions) < count:
        category = list(by_category)[rng.integers(len(by_category))]
        left = by_category[category]
        fact = left.pop(rng.integers(len(left)))
        if not left:
            del by_category[category]
        questions.append(_question(fact, objects, rng if vary else None))
    return questions


def _question(
    fact: Fact, objects: Sequence[Object | None], rng: np.random.Generator | None
) -> Question:
    regions = tuple(objects[place].name for place in fact.objects)
    names = dict(zip("ab", regions, strict=False))
    relation, _, kind = fact.category.rpartition("_")
    if kind == "predicate":
        wordings, answer = PREDICATE_QUESTIONS, YES if fact.truth else NO
        names["phrase"] = PHRASES[relation]
    elif kind == "choice":
        wordings, answer = CHOICE_QUESTIONS, CHOICE_ANSWER
        names |= {"phrase": COMPARATIVES[relation], "chosen": regions[fact.truth]}
    elif fact.category == DIRECTION:
        wordings, answer = DIRECTION_QUESTIONS, DIRECTION_ANSWER
        names["value"] = format_direction(fact.truth)
    else:
        wordings, answer = LENGTH_QUESTIONS[fact.category], LENGTH_ANSWERS[fact.category]
        names["value"] = format_length(fact.truth)
    wording = wordings[0 if rng is None else rng.integers(len(wordings))]
    return Question(
        prompt=wording.format(**names),
        answer=answer.format(**names),
        category=fact.category,
        truth=fact.truth,
        regions=regions,
    )
