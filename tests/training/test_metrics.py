import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import jax.numpy as jnp
import pytest

from tests.training.runs import metrics
from vlm3_jax.boards import Boards
from vlm3_jax.errors import BadInput
from vlm3_jax.training import metrics as training_metrics
from vlm3_jax.training.metrics import MetricsLog
from vlm3_jax.training.workdir import Workdir


def values(**changes: float):
    numbers = {
        "loss": 2.0,
        "accuracy": 0.5,
        "lr": 0.1,
        "grad_norm": 3.0,
        "num_supervised": 7.0,
        "token_fill": 0.75,
        "patch_fill": 0.5,
        "num_samples": 4.0,
        "num_tokens": 100.0,
        "flops": 3e12,
        **changes,
    }
    return {name: jnp.float32(value) for name, value in numbers.items()}


@contextmanager
def open_log(
    folder: Path, tasks: Mapping[str, str] = {"rooms": "depth"}, **settings: int
) -> Iterator[MetricsLog]:
    with (
        Boards(folder, first_step=1) as boards,
        MetricsLog(Workdir(folder), tasks=tasks, boards=boards, **settings) as log,
    ):
        yield log


class Clock:
    """A clock that stands still until it is set."""

    now = 0.0


@pytest.fixture
def clock(monkeypatch):
    monkeypatch.setattr(time, "perf_counter", lambda: Clock.now)
    return Clock


def test_rates_are_over_the_steps_since_the_last_line(tmp_path, clock, monkeypatch):
    monkeypatch.setattr(training_metrics, "peak_flops", lambda device: 60e12)
    with open_log(tmp_path, total_steps=5, every=2) as log:
        for step in range(1, 6):
            clock.now = step / 4  # A step ends when it is queued; the host takes 0.25 s for each.
            log.add(step, values(loss=step, num_tokens=100.0 * step))
            log._pending[1].result()
        assert [line["step"] for line in metrics(tmp_path)] == [2, 4]  # The newest still runs.
        clock.now = 1.5
        log.flush()
    two, four, last = metrics(tmp_path)
    assert two == {
        "step": 2,
        "loss": 2.0,
        "accuracy": 0.5,
        "lr": pytest.approx(0.1),
        "grad_norm": 3.0,
        "num_supervised": 7.0,
        "token_fill": 0.75,
        "patch_fill": 0.5,
        "samples_per_s": 8 / 0.75,
        "tokens_per_s": (100 + 200) / 0.75,
        "step_time_s": 0.75 / 2,
        "device_wait_s": 0.25 / 2,  # From the end of step 1 to the start of step 2.
        "mfu": pytest.approx(2 * 3e12 / 0.75 / 60e12),
    }
    assert four["tokens_per_s"] == (300 + 400) / 0.5
    assert four["device_wait_s"] == 0.25
    assert last["step"] == 5


def test_what_a_pause_takes_is_no_step_s_time(tmp_path, clock):
    clock.now = 0.0
    with open_log(tmp_path, total_steps=2, every=2) as log:
        clock.now = 1.0
        log.add(1, values())
        with log.paused():
            clock.now = 101.0
        clock.now = 102.0
        log.add(2, values())
        log._pending[1].result()
        log.flush()
    (line,) = metrics(tmp_path)
    assert line["step_time_s"] == pytest.approx(1.0) and line["device_wait_s"] == 0.0


def of_sources(losses, supervised, samples) -> dict:
    numbers = values(loss=sum(losses) / sum(supervised), num_supervised=sum(supervised))
    arrays = {"loss": losses, "supervised": supervised, "samples": samples}
    return numbers | {f"source_{name}": jnp.float32(array) for name, array in arrays.items()}


def write_lines(folder, tasks: dict[str, str]) -> list[dict]:
    """Two lines, of three steps and of one."""
    with open_log(folder, tasks, total_steps=4, every=3) as log:
        log.add(1, of_sources([6.0, 1.0, 9.0], [2.0, 1.0, 3.0], [1, 1, 2]))
        log.add(2, of_sources([4.0, 0.0, 5.0], [3.0, 0.0, 2.0], [2, 0, 1]))
        log.add(3, of_sources([2.0, 8.0, 0.0], [5.0, 3.0, 0.0], [3, 2, 0]))
        log.add(4, of_sources([0.0, 0.0, 7.0], [0.0, 0.0, 2.0], [0, 0, 4]))
        log.flush()
    return metrics(folder)


def test_a_mixture_is_counted_by_source_and_averaged_by_task(tmp_path):
    three, four = write_lines(tmp_path, {"rooms": "depth", "streets": "depth", "walks": "pose"})
    own = {name: value for name, value in three.items() if "/" in name}
    assert own == {
        "samples/rooms": 6,
        "samples/streets": 3,
        "samples/walks": 3,
        "loss/depth": (12 + 9) / (10 + 4),
        "loss/pose": 14 / 5,
    }
    # Where a line is of one step, the tasks' losses add up to it.
    assert "loss/depth" not in four and four["loss/pose"] == four["loss"] == 3.5
    assert four["samples/rooms"] == 0 and four["samples/walks"] == 4


def test_one_task_is_counted_only_and_one_source_not_at_all(tmp_path):
    (tmp_path / "one").mkdir()
    line, _ = write_lines(tmp_path, dict.fromkeys(("a", "b", "c"), "depth"))
    names = {name for name in line if "/" in name}
    assert names == {"samples/a", "samples/b", "samples/c"}
    with open_log(tmp_path / "one", {"a": "depth"}, total_steps=1, every=1) as log:
        log.add(1, of_sources([6.0], [2.0], [1]))
        log.flush()
    (line,) = metrics(tmp_path / "one")
    assert not any("/" in name for name in line)


@pytest.mark.parametrize("bad", [{"loss": float("nan")}, {"grad_norm": float("inf")}])
def test_divergence(tmp_path, bad):
    with open_log(tmp_path, total_steps=9, every=1) as log:
        log.add(1, values())
        log.add(2, values(**bad))
        with pytest.raises(BadInput, match=r"training diverged at step 2: .*(nan|inf)"):
            log.add(3, values())
    assert [line["step"] for line in metrics(tmp_path)] == [1]
