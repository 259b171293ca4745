import pytest

from vlm3_jax.evaluation.judging import Said
from vlm3_jax.evaluation.tasks import ObjectsJudge
from vlm3_jax.tasks.objects import Question, Verdict, format_length
from vlm3_jax.tasks.objects.scoring import by_rules

JUDGE = ObjectsJudge()
REGIONS = ("bounding box region (0, 1, 2, 3)", "bounding box region (4, 5, 6, 7)")


def question(category: str, truth, answer: str = "?") -> Question:
    return Question("?", answer, category, truth, REGIONS)


def judge(*said: tuple[str, object, str], judge: ObjectsJudge = JUDGE):
    return [
        judge.judge(question(category, truth), str(i), Said(text))
        for i, (category, truth, text) in enumerate(said)
    ]


ANSWERS = judge(
    ("left_predicate", True, "Yes."),
    ("right_predicate", True, "No."),
    ("tall_choice", 1, f"{REGIONS[1]}."),
    ("width_data", 2.0, "2.4 meters"),
    ("height_data", 2.0, "3 meters"),
    ("distance_data", 2.0, "far"),
    ("direction", 12, "1 o'clock"),
    ("direction", 6, "2 o'clock"),
    ("", None, "A chair."),
)


def test_scores_of_the_specification():
    metrics = JUDGE.metrics(ANSWERS)
    assert metrics["qualitative_accuracy"] == pytest.approx(2 / 3)
    assert metrics["accuracy_left_right"] == 1 / 2 and metrics["accuracy_tall_short"] == 1.0
    assert metrics["quantitative_success"] == pytest.approx(2 / 5)
    assert metrics["abs_rel"] == pytest.approx((0.4 + 1) / 2 / 2.0001)
    assert metrics["direction_error_degrees"] == pytest.approx((30 + 120) / 2)
    assert metrics["success_width"] == 1.0 and metrics["abs_rel_width"] == pytest.approx(
        0.4 / 2.0001
    )
    assert [one.score for one in ANSWERS] == [1, 0, 1, 1, 0, 0, 1, 0, None]
    assert JUDGE.facts() == {"judged_by": "rule-based"}


def test_what_cannot_be_scored_is_counted():
    unknown = judge(("width_data", None, "1 meter"))
    counts = JUDGE.counts([*ANSWERS, *unknown])
    assert counts["without_category"] == 1 and counts["without_truth"] == 1
    assert counts["questions_width"] == 2 and counts["questions_left_right"] == 2
    assert JUDGE.metrics([*ANSWERS, *unknown])["success_width"] == 1 / 2


@pytest.mark.parametrize(("factor", "right"), [(1.24, 1.0), (1.26, 0.0), (0.76, 1.0), (0.74, 0.0)])
def test_an_oracle_that_is_off_by_a_factor(factor, right):
    lengths = [2.0, 3.5, 8.0]
    ones = judge(*[("width_data", t, format_length(factor * t)) for t in lengths])
    metrics = JUDGE.metrics(ones)
    assert metrics["quantitative_success"] == right
    assert metrics["abs_rel"] == pytest.approx(abs(factor - 1), abs=0.003)


def test_the_best_constants_of_categories():
    ones = judge(
        *[("left_predicate", i < 3, "") for i in range(5)],
        *[("tall_choice", int(i < 1), "") for i in range(4)],
        *[("width_data", t, "") for t in (1.0, 1.2, 1.6, 9.0)],
        *[("direction", hour, "") for hour in (12, 1, 2, 6)],
    )
    constant = JUDGE.best_constant(ones)
    assert constant["answers"]["left_predicate"] is True and constant["answers"]["tall_choice"] == 0
    assert constant["qualitative_accuracy"] == pytest.approx((3 + 3) / 9)
    # 1.25 is within a quarter of 1, 1.2 and 1.6; 1 o'clock within an hour of 12, 1 and 2.
    assert constant["answers"]["direction"] == 1
    assert constant["quantitative_success"] == pytest.approx((3 + 3) / 8)
    # The median by 1 / truth is 1.2, which no other length beats.
    errors = [
        sum(abs(p - t) / (t + 1e-4) for t in (1.0, 1.2, 1.6, 9.0)) / 4 for p in (1.0, 1.2, 1.6)
    ]
    assert constant["abs_rel"] == pytest.approx(min(errors))


def test_another_judge_gives_the_verdicts():
    asked = []

    def kind(question: Question, text: str) -> Verdict:
        asked.append(text)
        return Verdict(success=True, error=0.5)

    generous = ObjectsJudge(verdict_of=kind)
    ones = judge(("width_data", 2.0, "wide"), ("left_predicate", True, "No."), judge=generous)
    assert asked == ["wide", "No."]
    assert generous.metrics(ones)["qualitative_accuracy"] == 1.0
    assert generous.metrics(ones)["abs_rel"] == 0.5
    assert generous.facts() == {"judged_by": "external judge"}
    assert by_rules(ones[1].question, "No.").success is False


def test_boxes_are_told_in_thousandths():
    assert JUDGE.record(ANSWERS[0])["boxes"] == [[0, 1, 2, 3], [4, 5, 6, 7]]
