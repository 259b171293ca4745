"""The command line of `vlm3_jax.evaluate`, from a TFDS build to `results.json`."""

import json

import pytest

from tests.commands import REPOSITORY, run_all
from tests.tfds_builders.test_depthlm_jsonl import line, write_set
from tfds_builders.build import build
from vlm3_jax.evaluation.benchmark import Prediction

SMALL = [
    "--config.sampling.focal=60",
    "--config.sampling.questions_per_image=2",
    "--config.decoding.questions=2",
    "--config.decoding.max_new_tokens=8",
]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """Two small images in a test split, and one in a training split."""
    folder = tmp_path_factory.mktemp("depth")
    two = [line(), line(image="kitchen/b.png")]
    raw = write_set(folder / "raw", rooms=two, train=[line(depth=[1, 2, 3])])
    build("depthlm_jsonl", folder / "data", raw)
    return folder / "data"


def arguments(checkpoint, data_dir, workdir, *more) -> list[str]:
    return [
        f"--config={REPOSITORY}/configs/eval.py",
        f"--checkpoint={checkpoint}",
        f"--workdir={workdir}",
        f"--config.dataset.data_dir={data_dir}",
        *SMALL,
        *more,
    ]


def check_results(folder, run, images: int, questions: int) -> dict:
    """Checks that what a run wrote and printed is whole and agrees with itself."""
    assert run.status == 0, run.err
    results = json.loads((folder / "results.json").read_text())
    lines = [json.loads(text) for text in (folder / "predictions.jsonl").read_text().splitlines()]
    assert sorted(path.name for path in folder.iterdir()) == ["predictions.jsonl", "results.json"]
    assert json.loads(run.out) == results["metrics"] | results["counts"]
    assert (results["counts"]["images"], results["counts"]["questions"]) == (images, questions)
    assert len(lines) == questions and all(set(text) >= FIELDS for text in lines)
    assert results["metrics"]["delta1"] == sum(text["score"] for text in lines) / questions
    assert results["counts"]["unparsed"] == sum(text["parsed"] is None for text in lines)
    assert results["counts"]["unfinished"] == sum(not text["finished"] for text in lines)
    assert f"{questions} questions, {images} images" in run.err
    return results | {"lines": lines}


FIELDS = set(Prediction.__dataclass_fields__) - {"certainty"}


def test_evaluates_and_keeps_what_it_wrote(lively_hf, data_dir, tmp_path):
    first = arguments(lively_hf, data_dir, tmp_path / "own")
    swapped = arguments(lively_hf, data_dir, tmp_path / "swapped", "--config.swap_images=True")
    runs = run_all("vlm3_jax.evaluate", [first, swapped, first])

    own = check_results(tmp_path / "own", runs[0], images=2, questions=4)
    assert own["swap_images"] is False and own["checkpoint"] == str(lively_hf)
    assert own["config"]["sampling"]["focal"] == 60 and own["config"]["mesh"]["replica"] == -1
    assert own["dtype"] == "float32"

    other = check_results(tmp_path / "swapped", runs[1], images=2, questions=4)
    assert other["swap_images"] is True and "images swapped" in runs[1].err
    pairs = list(zip(own["lines"], other["lines"], strict=True))
    assert all(a["prompt"] == b["prompt"] and a["truth"] == b["truth"] for a, b in pairs)
    assert all(a["answer"] != b["answer"] for a, b in pairs)

    certain = arguments(lively_hf, data_dir, tmp_path / "certain", "--config.decoding.branches=2")
    (run,) = run_all("vlm3_jax.evaluate", [certain])
    same = check_results(tmp_path / "certain", run, images=2, questions=4)
    assert [line["token_ids"] for line in same["lines"]] == [
        line["token_ids"] for line in own["lines"]
    ]
    assert all(0 <= line["confidence"] + line["unexplained"] <= 1.00001 for line in same["lines"])
    assert "delta1_likely" in same["metrics"] and "delta1_likely" not in own["metrics"]

    assert runs[2].status == 2 and "holds results already" in runs[2].err


def test_bad_input_is_one_sentence_and_leaves_nothing(lively_hf, data_dir, tmp_path):
    def case(*more, checkpoint=lively_hf, data=data_dir):
        return arguments(checkpoint, data, tmp_path / "out", *more)

    cases = [
        (case("--config.smapling.focal=3"), "smapling"),
        (case("--config.sampling.fcoal=3"), "fcoal"),
        (case("--config.sampling.focal=wide"), "focal"),
        (case("--config.sampling.focal=-1"), "focal is -1"),
        (case("--config.sampling.questions_per_image=0"), "questions_per_image is 0"),
        (case("--config.decoding.max_new_tokens=0"), "max_new_tokens is 0"),
        (case("--config.mesh.tensor=3"), "does not fit 1 device"),
        (case("--config.dataset.split=nowhere"), "no records in split 'nowhere'"),
        (case("--config.dataset.name=nothing"), "holds no built dataset"),
        (case("--config.dataset.split=train", "--config.swap_images=True"), "at least two images"),
        (case(data=tmp_path), "holds no built dataset"),
        (case(checkpoint="/none"), "/none does not exist"),
        (["--checkpoint=x", "--workdir=y", "--config=/none.py"], "/none.py"),
        (case()[1:], "config"),
    ]
    runs = run_all("vlm3_jax.evaluate", [command for command, _ in cases])
    for (command, message), run in zip(cases, runs, strict=True):
        assert run.status == 2, (command, run.err)
        lines = [text for text in run.err.splitlines() if not text.startswith(("I", "W"))]
        assert len(lines) == 1 and lines[0].startswith("error: "), (command, run.err)
        assert message in lines[0], (command, lines[0])
        assert run.out == ""
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_all_images_of_ibims1(lively_hf, ibims1, tmp_path):
    build("depthlm_jsonl", tmp_path / "data", ibims1)
    more = ["--config.sampling.focal=200", "--config.decoding.images=8"]
    command = arguments(lively_hf, tmp_path / "data", tmp_path / "out", *more)
    (run,) = run_all("vlm3_jax.evaluate", [command])
    results = check_results(tmp_path / "out", run, images=60, questions=120)
    assert len({text["image"] for text in results["lines"]}) == 60
    # The model looks: it says something else about every point.
    assert len({tuple(text["token_ids"]) for text in results["lines"]}) > 100
