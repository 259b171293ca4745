import dataclasses

import numpy as np
import pytest

from vlm3_jax.errors import BadInput
from vlm3_jax.tasks import objects
from vlm3_jax.tasks.objects import Question, Verdict, by_rules, score

REGIONS = ("bounding box region (1, 2, 3, 4)", "bounding box region (5, 6, 7, 8)")


def question(category, truth) -> Question:
    return Question("?", "", category, truth, REGIONS)


@pytest.mark.parametrize(
    ("answer", "success", "error"),
    [
        ("2.0 m", True, 0.0),
        ("1.5 m", True, 0.5 / 2.0001),
        ("2.5 m", True, 0.5 / 2.0001),
        ("1.49 m", False, 0.51 / 2.0001),
        ("2.51 m", False, 0.51 / 2.0001),
        ("200 cm", True, 0.0),
    ],
)
def test_lengths_are_right_within_a_quarter(answer, success, error):
    verdict = by_rules(question("distance_data", 2.0), answer)
    assert verdict == Verdict(success, pytest.approx(error, abs=1e-12))


@pytest.mark.parametrize(
    ("truth", "answer", "success", "error"),
    [
        (12, 12, True, 0),
        (12, 1, True, 30),
        (1, 12, True, 30),
        (12, 6, False, 180),
        (2, 4, False, 60),
    ],
)
def test_directions_are_right_within_an_hour(truth, answer, success, error):
    verdict = by_rules(question("direction", truth), f"{answer} o'clock")
    assert verdict == Verdict(success, error)


def test_qualitative_answers_are_right_or_wrong():
    assert by_rules(question("left_predicate", True), "Yes.") == Verdict(True)
    assert by_rules(question("left_predicate", False), "Yes.") == Verdict(False)
    assert by_rules(question("tall_choice", 1), f"{REGIONS[1]} is taller.") == Verdict(True)
    assert by_rules(question("tall_choice", 0), f"{REGIONS[1]} is taller.") == Verdict(False)


def test_what_cannot_be_read_is_wrong_and_has_no_error():
    unread = Verdict(success=False, parsed=False)
    assert by_rules(question("distance_data", 2.0), "far") == unread
    assert by_rules(question("left_predicate", False), "maybe") == unread
    assert by_rules(question("left_predicate", None), "Yes.") == Verdict(False)


def test_scores_are_over_all_questions_of_a_group():
    questions = [
        question("left_predicate", True),
        question("right_choice", 0),
        question("tall_predicate", None),
        question("distance_data", 1.0),
        question("distance_data", 1.0),
        question("width_data", 1.0),
        question("direction", 3),
    ]
    answers = ["Yes", "no idea", "Yes", "1.2 m", "3 m", "wide", "4 o'clock"]
    result = score(questions, answers)
    assert result == objects.ObjectsScore(
        judged_by="rule-based",
        qualitative_accuracy=1 / 3,
        accuracy={"left/right": 0.5, "tall/short": 0.0},
        quantitative_success=0.5,
        success={"distance_data": 0.5, "width_data": 0.0, "direction": 1.0},
        abs_rel=pytest.approx((0.2 + 2.0) / 1.0001 / 2),
        abs_rel_by_category={"distance_data": pytest.approx(2.2 / 1.0001 / 2)},
        direction_error_degrees=30.0,
        num_questions={
            "left/right": 2,
            "tall/short": 1,
            "distance_data": 2,
            "width_data": 1,
            "direction": 1,
        },
        num_unparsed=2,
        num_without_truth=1,
    )


def test_a_judge_may_be_given():
    asked = []

    def judge(question, text):
        asked.append((question.category, text))
        return Verdict(success=True)

    result = score([question("left_predicate", None)], ["Surely."], judge)
    assert asked == [("left_predicate", "Surely.")]
    assert result.qualitative_accuracy == 1.0 and result.judged_by == "external judge"


def test_nothing_to_score_is_refused():
    with pytest.raises(BadInput, match="no object questions"):
        score([], [])


def random_questions(count: int) -> list[Question]:
    """Questions about random objects, each drawn as its own pair."""
    rng = np.random.default_rng(0)
    questions: list[Question] = []
    while len(questions) < count:
        things = [
            objects.Object(
                objects.box_text(np.sort(rng.integers(0, 1000, 4)), 1000, 1000),
                tuple(rng.uniform([-3, -1, 1], [3, 1, 9])),
                *rng.uniform(0.05, 3, 2),
            )
            for _ in range(4)
        ]
        questions += objects.ask(things, 100, rng)
    return questions[:count]


def test_a_perfect_oracle_is_perfect_through_text():
    questions = random_questions(10_000)
    result = score(questions, [question.answer for question in questions])
    assert result.qualitative_accuracy == result.quantitative_success == 1.0
    assert set(result.accuracy.values()) == set(result.success.values()) == {1.0}
    assert result.abs_rel < 0.005 and result.direction_error_degrees == 0.0
    assert result.num_unparsed == result.num_without_truth == 0
    assert sum(result.num_questions.values()) == 10_000
    assert len(result.num_questions) == 12


@pytest.mark.parametrize(("factor", "success"), [(1.2, 1.0), (1.3, 0.0), (0.7, 0.0)])
def test_a_shifted_oracle_scores_its_shift(factor, success):
    questions = random_questions(1000)
    lengths = [q for q in questions if q.category.endswith("_data")]
    said = [f"It is {q.truth * factor:.6f} meters." for q in lengths]
    result = score(lengths, said)
    assert result.quantitative_success == success
    assert result.abs_rel == pytest.approx(abs(factor - 1), abs=1e-3)
    # Hours off by one are right, by 30 degrees each; predicates turned round are all wrong.
    hours = [q for q in questions if q.category == "direction"]
    late = score(hours, [f"{q.truth % 12 + 1} o'clock" for q in hours])
    assert late.quantitative_success == 1.0 and late.direction_error_degrees == 30.0
    wrong = [
        dataclasses.replace(q, truth=not q.truth) for q in questions if "predicate" in q.category
    ]
    assert score(wrong, [q.answer for q in wrong]).qualitative_accuracy == 0.0
