"""The report of an evaluation that was made up, read back."""

import copy
import json
import re

import numpy as np
import pytest

from tests.evaluation.page.made_up import UNREADABLE, evaluation
from tests.page.reading import Page
from vlm3_jax.evaluation.page.assemble import page
from vlm3_jax.evaluation.page.samples import MOST_FAILURES

HOSTILE = "\"><script>alert(1)</script><img src=x onerror=alert(1)> & '{{ 7 * 7 }}"


@pytest.fixture(scope="module")
def made():
    return evaluation()


def html(made, **changes) -> str:
    return page(made.results | changes, made.lines, made.record_of)


@pytest.fixture(scope="module")
def whole(made):
    return Page(html(made))


def only(made, name: str, change=lambda line: {}):
    """One benchmark, its lines changed."""
    lines = [line | change(line) for line in made.lines if line["benchmark"] == name]
    results = made.results | {"benchmarks": {name: made.results["benchmarks"][name]}}
    return Page(page(results, lines, made.record_of))


def test_it_is_one_file_that_asks_for_nothing(whole):
    whole.assert_self_contained()
    assert [tag for tag, _ in whole.elements].count("h1") == 1
    ids = [attributes["id"] for _, attributes in whole.elements if "id" in attributes]
    links = [attributes["href"].removeprefix("#") for attributes in whole.all("a")]
    assert links == ids and len(set(ids)) == len(ids) == 2 + 4


def test_its_pictures_are_drawn_samples(whole):
    # Three best and three worst of single images, two and two of pairs; poses have two pictures.
    assert len(whole.images()) == 6 + 4 + 2 * 4 + 6
    assert all(np.asarray(image).std() > 10 for image in whole.images())


def test_figures_are_those_of_the_results(made, whole):
    benchmarks = made.results["benchmarks"]
    said = {
        "ibims1": ("delta1", "{:.3f}", 1),
        "rooms_correspondence": ("epe_mean", "{:.2f}", 1),
        "eth3d_pose": ("auc_30", "{:.1f}", 100),
        "spatial_rgpt": ("quantitative_success", "{:.2f}", 100),
    }
    for name, (metric, form, factor) in said.items():
        one = benchmarks[name]
        low, high = (form.format(factor * end) for end in one["intervals"][metric])
        assert f"{form.format(factor * one['metrics'][metric])} {low} to {high}" in whole.text
        assert form.format(factor * one["format_ceiling"][metric]) in whole.text
        assert f"{one['counts']['questions']:,} questions about 12" in whole.text
    assert whole.text.count("Format ceiling") >= 2 * 4


def test_every_metric_is_there(made, whole):
    """By its figure: a share in percent with a decimal, or a number of three digits."""
    for one in made.results["benchmarks"].values():
        for name, value in one["metrics"].items():
            if value is None:
                continue
            texts = {f"{100 * value:.1f}%", f"{value:.3f}", f"{value:#.3g}".rstrip(".")}
            assert any(text in whole.text for text in texts), (name, value)


def test_tables_have_the_published_rows(whole):
    assert "VLM3-4B 0.960 0.896 0.818 0.970 0.810 0.976 0.867 0.935 0.904" in whole.text
    assert "VLM3-4B - 15.18 10.71 20.21 15.37" in whole.text
    assert "VGGT - - 88.0" in whole.text and "VLM3-4B 91.35 58.51 0.35" in whole.text
    # A set that nobody published has a column of its own.
    assert "iBims-1 Argoverse2" in whole.text and "rooms_correspondence ETH3D DTU" in whole.text
    assert whole.text.count("None of the published sets was asked about here.") == 1
    assert "rules read are not comparable" in whole.text


def test_a_mean_needs_all_columns(made):
    names = ["argoverse2", "ddad", "nuscenes", "eth3d", "scannetpp", "sun_rgbd", "nyu_v2"]
    one = made.results["benchmarks"]["ibims1"]
    lines = [line for line in made.lines if line["benchmark"] == "ibims1"]

    def row(chosen):
        benchmarks = {
            name: one | {"metrics": {"delta1": 0.1 * place}}
            for place, name in enumerate(chosen, start=1)
        }
        asked = [line | {"benchmark": name} for name in chosen for line in lines]
        results = made.results | {"benchmarks": benchmarks}
        text = Page(page(results, asked, lambda line: made.records["ibims1"][line["image"]])).text
        return re.search(r"This checkpoint (.*?) None of|This checkpoint (.*?) The metric", text)[0]

    assert " - " not in row([*names, "ibims1"]) and "0.450" in row([*names, "ibims1"])
    assert " - - The metric" in row(names)


def test_text_of_models_and_data_stays_text(made):
    hostile = copy.deepcopy(made)
    for line in hostile.lines:
        record = hostile.records[line["benchmark"]][line["image"]]
        hostile.records[line["benchmark"]][HOSTILE + line["image"]] = record
        line |= {"image": HOSTILE + line["image"], "answer": HOSTILE, "prompt": HOSTILE}
        line |= {"truth_text": HOSTILE} if "truth_text" in line else {}
    results = copy.deepcopy(hostile.results)
    results |= {"checkpoint": HOSTILE, "device": HOSTILE, "dtype": HOSTILE}
    results["config"] = {HOSTILE: HOSTILE}
    for one in results["benchmarks"].values():
        one |= {"dataset": HOSTILE, "split": HOSTILE, "facts": {"judged_by": HOSTILE}}
        one["metrics"][HOSTILE] = 0.5
        one["counts"][HOSTILE] = 3
        one["best_constant"]["answer" + HOSTILE] = HOSTILE
    read = Page(page(results, hostile.lines, hostile.record_of))
    read.assert_self_contained()
    # As many pictures as without; each has the name in its text for who cannot see it.
    assert len(read.images()) == 24 and "onerror" not in {n for _, a in read.elements for n in a}
    assert read.text.count("<script>alert(1)</script>") > 100


def test_answers_that_cannot_be_read_are_shown(made, whole):
    unread = [line for line in made.lines if line["answer"] == UNREADABLE]
    assert len(unread) > 10
    shown = whole.text.count(f"Answer (cut off at the longest that is allowed) {UNREADABLE}")
    assert shown >= len(unread)
    for name, one in made.results["benchmarks"].items():
        total = sum(line["benchmark"] == name for line in made.lines)
        if count := one["counts"]["unparsed"]:
            assert f"Answers that cannot be read: {count:,} of {total:,}" in whole.text


def test_of_many_such_answers_the_rest_is_counted(made):
    read = only(made, "ibims1", lambda line: {"parsed": None, "answer": "nothing"})
    assert f"{60 - MOST_FAILURES} more are in predictions.jsonl" in read.text
    # Those and the questions about the six drawn images.
    assert read.text.count("nothing") == MOST_FAILURES + 6 * 5


@pytest.mark.parametrize("name", ["ibims1", "rooms_correspondence", "eth3d_pose", "spatial_rgpt"])
def test_a_benchmark_without_a_readable_answer_has_a_report(made, name):
    read = only(made, name, lambda line: {"parsed": None, "score": 0, "error": None})
    read.assert_self_contained()
    assert "Answers that cannot be read" in read.text and read.images()


@pytest.mark.parametrize(
    ("name", "parsed"),
    [
        ("ibims1", 1e300),
        ("ibims1", -3.0),
        ("ibims1", 1e-300),
        ("rooms_correspondence", [1e300, -1e300]),
        ("spatial_rgpt", 0),
    ],
)
def test_absurd_answers_have_a_report(made, name, parsed):
    read = only(made, name, lambda line: {"parsed": parsed})
    drawn = [float(c[name]) for c in read.all("circle") for name in ("cx", "cy")]
    assert np.isfinite(drawn).all() and "nan" not in read.text and "inf" not in read.text.split()
    assert read.images()


def test_one_question_has_a_report(made):
    line = made.lines[0]
    results = made.results | {"benchmarks": {"ibims1": made.results["benchmarks"]["ibims1"]}}
    read = Page(page(results, [line], made.record_of))
    assert "Best 1" in read.text and "Worst" not in read.text and len(read.images()) == 1


def test_metrics_that_are_missing_have_no_figure(made):
    results = copy.deepcopy(made.results)
    one = results["benchmarks"]["ibims1"]
    one["metrics"] = dict.fromkeys(one["metrics"])
    one["format_ceiling"], one["best_constant"], one["intervals"] = {}, {"delta1": None}, {}
    text = Page(page(results, made.lines, made.record_of)).text
    assert "delta1, all questions - - -" in text and "None" not in text.replace("None of the", "")


def test_warns_where_looking_did_not_help(made):
    warning = "no better than one answer to all questions"
    results = copy.deepcopy(made.results)
    # All images have the same questions about objects: nobody needs to look there.
    del results["benchmarks"]["spatial_rgpt"]
    lines = [line for line in made.lines if line["benchmark"] != "spatial_rgpt"]
    assert warning not in page(results, lines, made.record_of)
    one = results["benchmarks"]["rooms_correspondence"]
    one["best_constant"]["epe_mean"] = one["metrics"]["epe_mean"] - 1
    text = Page(page(results, lines, made.record_of)).text
    assert text.count(warning) == 1 and f"end-point error, mean, 1/1000: {warning}" in text


def test_a_control_says_that_it_is_one(made):
    assert "A control" not in html(made) and "A control" in html(made, swap_images=True)


def test_settings_are_there(made, whole):
    assert json.loads(whole.text.partition("All that decides the results")[2]) == json.loads(
        json.dumps(made.results["config"])
    )
