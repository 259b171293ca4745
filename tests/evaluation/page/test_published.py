import numpy as np
import pytest

from configs.eval import BENCHMARKS
from vlm3_jax.evaluation.page.published import read


@pytest.mark.parametrize("task", ["depth", "correspondence", "pose"])
def test_published_means_are_those_of_their_rows(task):
    """A figure that was copied wrongly would not fit its mean."""
    table = read()[task]
    complete = [values for _, values in table.rows if "-" not in values]
    assert complete and all(len(values) == len(table.columns) + 1 for values in complete)
    last_digit = 10.0 ** -len(complete[0][0].partition(".")[2])
    for model, values in table.rows:
        if "-" in values or model == "Qwen3-VL-4B":
            continue  # The mean of that row is as published; the report says what its figures give.
        *figures, mean = map(float, values)
        assert np.mean(figures) == pytest.approx(mean, abs=1.01 * last_digit)


@pytest.mark.parametrize("task", ["depth", "correspondence", "pose", "objects"])
def test_columns_are_benchmarks_of_their_task(task):
    for column in read()[task].columns:
        assert BENCHMARKS[column.benchmark]["task"] == task


def test_figures_are_written_as_published():
    depth, pose = read()["depth"].columns[0], read()["pose"].columns[0]
    assert (depth.text(0.97), depth.text(None), depth.text(1e300)) == ("0.970", "-", "1e+300")
    assert pose.text(0.94) == "94.0"
