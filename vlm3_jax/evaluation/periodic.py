"""Evaluations of a model while it is trained, on the devices that train it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import logging

from vlm3_jax.boards import Boards
from vlm3_jax.config import to_dict
from vlm3_jax.data.encoder import Encoder
from vlm3_jax.decoding.load import make_decoder, resolve_dtype
from vlm3_jax.decoding.runner import Decoder
from vlm3_jax.evaluation import report
from vlm3_jax.evaluation.benchmark import open_sources
from vlm3_jax.evaluation.cache import AnswerCache
from vlm3_jax.evaluation.config import EvalConfig
from vlm3_jax.evaluation.lookup import Lookup
from vlm3_jax.evaluation.page import samples
from vlm3_jax.evaluation.page.assemble import TASKS
from vlm3_jax.evaluation.report import PREDICTIONS, RESULTS
from vlm3_jax.evaluation.run import evaluate
from vlm3_jax.models.functional import Params, abstract_params
from vlm3_jax.parallel.distributed import from_first_process
from vlm3_jax.parallel.mesh import make_mesh
from vlm3_jax.parallel.sharding import param_shardings

_DRAWN = 2  # Best samples of a benchmark that are shown, and as many of the worst.


class PeriodicEvaluation:
    """Evaluates every so many steps into `evaluations/STEP/` of the run, and shows it on boards.

    Attributes:
        every: steps from one evaluation to the next.
    """

    def __init__(self, config: EvalConfig, every: int):
        """Opens the sets.

        Raises:
            BadInput: a set cannot be used.
        """
        self.every = every
        self._config = config
        self._sources = open_sources(config)
        self._dtype = resolve_dtype(config.dtype)
        self._mesh = make_mesh(config.mesh.replica, config.mesh.fsdp, config.mesh.tensor)
        self._parts: tuple[Encoder, Decoder] | None = None

    def look(self, step: int, params: Params, root: Path, assets: Path, boards: Boards) -> None:
        """Evaluates the parameters after a step.

        Args:
            step: whose parameters they are.
            params: of any type, wherever they lie.
            root: folder of the run.
            assets: folder of the checkpoint's configuration files.
            boards: where metrics and a few samples are shown.
        """
        workdir = root / "evaluations" / f"{step:07d}"
        # A run that was interrupted behind this step comes here again.
        is_done = from_first_process(b"done" if (workdir / RESULTS).exists() else b"new") == b"done"
        if not is_done:
            self._evaluate(step, params, workdir, assets)
        if jax.process_index() == 0:
            results = json.loads((workdir / RESULTS).read_text())
            boards.scalars(step, dict(_figures(results)))
            for name, pixels, caption in _drawn(results, workdir, Lookup(self._sources)):
                boards.picture(step, name, pixels, caption)

    def _evaluate(self, step: int, params: Params, workdir: Path, assets: Path) -> None:
        encoder, decoder = self._ready(params, assets)
        workdir.mkdir(parents=True, exist_ok=True)
        cache = AnswerCache(workdir, {"step": step, "decoding": to_dict(decoder.config)})
        results = evaluate(
            self._config,
            self._sources,
            encoder,
            decoder,
            cache,
            workdir,
            checkpoint=f"step {step}",
            dtype=self._dtype,
        )
        logging.info("step %d\n%s", step, report.table(results))

    def _ready(self, params: Params, assets: Path) -> tuple[Encoder, Decoder]:
        """The decoder with these parameters; its programs are compiled once."""
        encoder = self._parts[0] if self._parts else Encoder.from_folder(assets)
        shardings = param_shardings(abstract_params(encoder.config), self._mesh)
        params = jax.device_put(
            jax.tree.map(lambda leaf: leaf.astype(jnp.dtype(self._dtype)), params), shardings
        )
        if self._parts is None:
            decoder = make_decoder(encoder, params, assets, self._mesh, self._config.decoding)
            self._parts = encoder, decoder
        else:
            self._parts[1].load(params)
        return self._parts


def _figures(results: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """The metrics of all benchmarks that there are, by `eval/BENCHMARK/METRIC`."""
    for name, one in results["benchmarks"].items():
        for metric, value in one["metrics"].items():
            if value is not None:
                yield f"eval/{name}/{metric}", value


def _drawn(
    results: dict[str, Any], workdir: Path, lookup: Lookup
) -> Iterator[tuple[str, np.ndarray, str]]:
    """The best and the worst samples of each benchmark: a name, the picture, and what was said."""
    lines = [json.loads(line) for line in (workdir / PREDICTIONS).read_text().splitlines()]
    for name, one in results["benchmarks"].items():
        task = TASKS[one["task"]]
        groups = task.samples([line for line in lines if line["benchmark"] == name])
        for title, group in samples.chosen(groups, each=_DRAWN):
            said = "\n\n".join(f"{line['prompt']}\n\n{line['answer']}" for line in group)
            place = title.lower().replace(" ", "_")  # As TensorBoard wants names.
            pictures = task.pictures(lookup.record(group[0]), group)
            for number, picture in enumerate(pictures, start=1):
                part = f"_view_{number}" if len(pictures) > 1 else ""
                caption = f"{task.gist(group)}\n\n{said}"
                yield f"eval/{name}/{place}{part}", np.asarray(picture), caption
