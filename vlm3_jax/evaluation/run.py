"""An evaluation from its sets to its files, with a model that is loaded already."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

from vlm3_jax.data.encoder import Encoder
from vlm3_jax.data.sources import Source
from vlm3_jax.decoding.runner import Decoder
from vlm3_jax.evaluation import report
from vlm3_jax.evaluation.benchmark import num_records, predict
from vlm3_jax.evaluation.cache import AnswerCache
from vlm3_jax.evaluation.config import EvalConfig
from vlm3_jax.evaluation.page.files import write_page
from vlm3_jax.evaluation.summary import summarize
from vlm3_jax.evaluation.tasks import JUDGES


def evaluate(
    config: EvalConfig,
    sources: Mapping[str, Source],
    encoder: Encoder,
    decoder: Decoder,
    cache: AnswerCache,
    workdir: Path,
    *,
    checkpoint: str,
    dtype: str,
) -> dict[str, Any]:
    """Asks, judges, and writes `results.json`, `predictions.jsonl` and `report.html`.

    Every process calls it, and the first one writes.

    Args:
        config: of the evaluation.
        sources: the records of each benchmark, see `open_sources`.
        encoder: the checkpoint's.
        decoder: the checkpoint's.
        cache: gets every answer as it comes.
        workdir: for the files; results that it holds are replaced.
        checkpoint: what the model is called in the results.
        dtype: that is computed in.

    Returns:
        The content of `results.json`.

    Raises:
        BadInput: a record cannot be used, or there is no room.
    """
    lines, summaries = [], {}
    for name, benchmark in config.benchmarks.items():
        judge, source = JUDGES[benchmark.task], sources[name]
        predictions = predict(name, config, source, judge, encoder, decoder, cache)
        summaries[name] = summarize(benchmark, judge, predictions, num_records(benchmark, source))
        lines += [report.line(name, config, prediction) for prediction in predictions]
    results = report.results(
        config,
        summaries,
        checkpoint=checkpoint,
        dtype=dtype,
        device=jax.devices()[0].device_kind,
    )
    if jax.process_index() == 0:
        report.write(workdir, results, lines)
        write_page(workdir)
    return results
