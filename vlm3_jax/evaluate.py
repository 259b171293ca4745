"""Scores a checkpoint on benchmarks, of any task.

    python -m vlm3_jax.evaluate --config=configs/eval.py --checkpoint=CKPT --workdir=DIR
    python -m vlm3_jax.evaluate --config=configs/eval.py:ibims1,eth3d_pose --checkpoint=CKPT ...

Writes DIR/results.json, DIR/predictions.jsonl and DIR/report.html, a page that needs nothing else,
when all is done, prints a table on standard error and metrics and counts as one JSON line on
standard output. Results that DIR holds are never replaced. Answers are kept in DIR/answers.jsonl as
they come, and the same command goes on where it was killed.
"""

import json
import sys

import jax
from absl import flags, logging

from vlm3_jax import cli, config
from vlm3_jax.decoding.load import load_decoder, resolve_dtype
from vlm3_jax.evaluation import report
from vlm3_jax.evaluation.benchmark import num_records, open_sources, predict
from vlm3_jax.evaluation.cache import AnswerCache
from vlm3_jax.evaluation.config import EvalConfig
from vlm3_jax.evaluation.page.files import write_page
from vlm3_jax.evaluation.summary import summarize
from vlm3_jax.evaluation.tasks import JUDGES
from vlm3_jax.hub.fingerprint import fingerprint
from vlm3_jax.parallel import distributed

_CONFIG = config.define_flag(EvalConfig)
_CHECKPOINT = flags.DEFINE_string(
    "checkpoint",
    None,
    "Hugging Face folder, hub id, or folder that train or convert wrote.",
    required=True,
)
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder for the results.", required=True)


def main() -> None:
    """Runs the command."""
    settings = config.parse(EvalConfig, _CONFIG.value)
    distributed.initialize()
    report.check_workdir(_WORKDIR.value)
    sources = open_sources(settings)
    dtype = resolve_dtype(settings.dtype)
    identity = {
        "checkpoint": fingerprint(_CHECKPOINT.value),
        "dtype": dtype,
        "decoding": config.to_dict(settings.decoding),
    }
    cache = AnswerCache(_WORKDIR.value, identity)
    parts = load_decoder(_CHECKPOINT.value, dtype, settings.mesh, settings.decoding)
    lines, summaries = [], {}
    for name, benchmark in settings.benchmarks.items():
        judge, source = JUDGES[benchmark.task], sources[name]
        predictions = predict(name, settings, source, judge, *parts, cache)
        summaries[name] = summarize(benchmark, judge, predictions, num_records(benchmark, source))
        lines += [report.line(name, settings, prediction) for prediction in predictions]
    if jax.process_index() == 0:
        results = report.results(
            settings,
            summaries,
            checkpoint=_CHECKPOINT.value,
            dtype=dtype,
            device=jax.devices()[0].device_kind,
        )
        report.write(_WORKDIR.value, results, lines)
        write_page(_WORKDIR.value)
        logging.info("wrote %s", _WORKDIR.value)
        print(report.table(results), file=sys.stderr)
        parts = ("metrics", "counts")
        told = {name: {part: one[part] for part in parts} for name, one in summaries.items()}
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    cli.run(main)
