"""The report of an evaluation's folder, with pictures from a built set."""

import json
import shutil

import numpy as np
import pytest

from tests.commands import run_all
from tests.data import toy
from tests.page.reading import Page
from vlm3_jax.data.sampling import DepthSampling, Samplings
from vlm3_jax.evaluation import report
from vlm3_jax.evaluation.benchmark import Prediction, open_sources
from vlm3_jax.evaluation.config import Benchmark, EvalConfig
from vlm3_jax.evaluation.judging import Said
from vlm3_jax.evaluation.page.files import write_page
from vlm3_jax.evaluation.summary import summarize
from vlm3_jax.evaluation.tasks import JUDGES


@pytest.fixture
def folder(tmp_path):
    """An evaluation on the four views of a set's test split; every depth is said to be 11 m."""
    toy.build(tmp_path / "data")
    benchmark = Benchmark("depth", toy.NAME, sampling=Samplings(DepthSampling(focal=50.0)))
    config = EvalConfig({"toy": benchmark}, data_dir=str(tmp_path / "data"))
    judge, made = JUDGES["depth"], []
    for index, record in enumerate(open_sources(config)["toy"]):
        for question in benchmark.asks.ask(record, np.random.default_rng(index), vary=False):
            judged = judge.judge(question, record.key, Said("<answer> 11 </answer>"))
            made.append(
                Prediction(
                    index, index, record.key, "<answer> 11 </answer>", (1,), True, -1, judged
                )
            )
    parts = {"toy": summarize(benchmark, judge, made, 4)}
    results = report.results(config, parts, checkpoint="c", dtype="float32", device="cpu")
    report.write(tmp_path / "run", results, [report.line("toy", config, one) for one in made])
    return tmp_path / "run"


def test_the_page_is_made_from_the_other_files(folder):
    assert write_page(folder) == folder / "report.html"
    page = Page((folder / "report.html").read_text())
    page.assert_self_contained()
    # Views 9 to 12 have depths from 10 to 13.05 m: all are near 11 m.
    assert "delta1, all questions 1.000" in page.text and "5 of 5 within a factor" in page.text
    shapes = {image.size for image in page.images()}
    assert len(page.images()) == 4 and all(max(shape) == 560 for shape in shapes)
    assert len(shapes) == 3  # As many as the set's views have.


def test_the_command_makes_it_again_and_says_what_is_missing(folder, tmp_path):
    (tmp_path / "empty").mkdir()
    moved = shutil.copytree(folder, tmp_path / "moved")
    results = json.loads((moved / "results.json").read_text())
    results["config"]["data_dir"] = "/none"
    (moved / "results.json").write_text(json.dumps(results))
    commands = [[f"--workdir={path}"] for path in (folder, tmp_path / "empty", moved)]
    made, empty, gone = run_all("vlm3_jax.evaluation.page.__main__", commands)
    assert made.status == 0 and made.out == f"{folder / 'report.html'}\n"
    assert Page((folder / "report.html").read_text()).images()
    assert empty.status == 2 and "holds no results.json" in empty.err
    assert gone.status == 2 and "holds no built dataset" in gone.err
    assert not (moved / "report.html").exists()
