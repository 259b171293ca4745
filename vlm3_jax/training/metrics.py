"""Metrics of a run: one JSON object a logged step, boards and a progress line."""

import json
import math
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta

import jax
import numpy as np
from absl import logging

from vlm3_jax.boards import Boards
from vlm3_jax.errors import BadInput
from vlm3_jax.training.flops import peak_flops
from vlm3_jax.training.workdir import Workdir

_STEP_VALUES = (
    "loss",
    "accuracy",
    "lr",
    "grad_norm",
    "num_supervised",
    "token_fill",
    "patch_fill",
)


class MetricsLog:
    """Collects every step's metrics and writes a line each `every` steps.

    It looks at a step's metrics when the next step has been queued, so the devices never wait for
    the host to read them, and the host is never more than one step ahead.

    Values such as the loss are those of the logged step itself. Of a mixture, `samples/SOURCE` is
    how many samples of it were trained on, and `loss/TASK`, where there are several tasks, the mean
    over the task's answer tokens (none where there were none), both over all steps since the line
    before. So are rates, and `device_wait_s`: the seconds a step for which devices had nothing to
    do, from the end of one step until the host had queued the next, because it was still preparing
    the batch or saving. Only the first process writes.
    """

    def __init__(
        self,
        workdir: Workdir,
        total_steps: int,
        every: int,
        tasks: Mapping[str, str],
        boards: Boards,
    ):
        """Begins a run, or goes on with one.

        Args:
            workdir: of the run.
            total_steps: of the whole run; the last one is logged too.
            every: steps from line to line.
            tasks: the task of each source, by label, in the order in which steps count them.
            boards: where the lines are shown too.
        """
        self._total_steps, self._every, self._tasks = total_steps, every, tasks
        self._boards = boards
        self._writes = jax.process_index() == 0
        if self._writes:
            self._file = workdir.metrics.open("a", buffering=1)
        peak = peak_flops(jax.devices()[0])
        self._peak = None if peak is None else peak * jax.device_count()
        self._watcher = ThreadPoolExecutor(max_workers=1)
        self._pending: tuple[int, Future] | None = None
        self._last_end: float | None = None
        self._start_window()

    def __enter__(self) -> "MetricsLog":
        return self

    def __exit__(self, *exception) -> None:
        self._watcher.shutdown(wait=False)
        if self._writes:
            self._file.close()

    def add(self, step: int, metrics: dict[str, jax.Array]) -> None:
        """Takes the metrics of a step just queued, after those of the step before.

        Raises:
            BadInput: the loss or the gradient of the step before is no finite number.
        """
        queued = time.perf_counter()
        self.flush()
        if self._last_end is not None:
            self._device_wait += max(0.0, queued - self._last_end)
        self._pending = (step, self._watcher.submit(_read, metrics))

    def flush(self) -> None:
        """Waits for the newest step and takes its metrics.

        Raises:
            BadInput: as `add`.
        """
        if self._pending is None:
            return
        step, metrics = self._pending
        self._pending = None
        values, self._last_end = metrics.result()
        if not (math.isfinite(values["loss"]) and math.isfinite(values["grad_norm"])):
            raise BadInput(
                f"training diverged at step {step}: loss {values['loss']}, gradient norm"
                f" {values['grad_norm']}; lower config.optimizer.learning_rate or look at the data."
            )
        self._window.append(values)
        if step % self._every == 0 or step == self._total_steps:
            own = {name: values[name] for name in _STEP_VALUES}
            self._write({"step": step, **own, **self._by_source(), **self._rates()})
            self._start_window()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Does something else for a while, whose time is none of a step's.

        Raises:
            BadInput: as `add`.
        """
        self.flush()
        began = time.perf_counter()
        yield
        self._started += time.perf_counter() - began
        self._last_end = None

    def _start_window(self) -> None:
        self._window: list[dict[str, float | list[float]]] = []
        self._device_wait = 0.0
        self._started = time.perf_counter()

    def _by_source(self) -> dict[str, float]:
        """Of the steps in the window; nothing where there is one source, for it is all."""
        if len(self._tasks) == 1:
            return {}
        losses, tokens, samples = (
            dict(zip(self._tasks, np.sum([v[name] for v in self._window], axis=0), strict=True))
            for name in ("source_loss", "source_supervised", "source_samples")
        )
        found = {f"samples/{label}": float(count) for label, count in samples.items()}
        names = sorted(set(self._tasks.values()))
        for name in names if len(names) > 1 else []:
            labels = [label for label, task in self._tasks.items() if task == name]
            if count := sum(tokens[label] for label in labels):
                found[f"loss/{name}"] = float(sum(losses[label] for label in labels) / count)
        return found

    def _rates(self) -> dict[str, float]:
        seconds = time.perf_counter() - self._started
        per_second = {
            name: float(np.sum([values[name] for values in self._window])) / seconds
            for name in ("num_samples", "num_tokens", "flops")
        }
        rates = {
            "samples_per_s": per_second["num_samples"],
            "tokens_per_s": per_second["num_tokens"],
            "step_time_s": seconds / len(self._window),
            "device_wait_s": self._device_wait / len(self._window),
        }
        if self._peak is not None:
            rates["mfu"] = per_second["flops"] / self._peak
        return rates

    def _write(self, line: dict[str, float]) -> None:
        if not self._writes:
            return
        self._file.write(json.dumps(line) + "\n")
        shown = {f"train/{name}": value for name, value in line.items() if name != "step"}
        self._boards.scalars(line["step"], shown)
        left = round((self._total_steps - line["step"]) * line["step_time_s"])
        logging.info(
            "step %d/%d  loss %.4f  lr %.2e  grad_norm %.3f  %.2f samples/s  %.0f tokens/s%s"
            "  waited %.3f s  %s left",
            line["step"],
            self._total_steps,
            line["loss"],
            line["lr"],
            line["grad_norm"],
            line["samples_per_s"],
            line["tokens_per_s"],
            f"  mfu {line['mfu']:.1%}" if "mfu" in line else "",
            line["device_wait_s"],
            timedelta(seconds=left),
        )


def _read(metrics: dict[str, jax.Array]) -> tuple[dict[str, float | list[float]], float]:
    """A step's values, once it has ended, and when that was."""
    jax.block_until_ready(metrics)
    ended = time.perf_counter()
    return {name: value.tolist() for name, value in jax.device_get(metrics).items()}, ended
