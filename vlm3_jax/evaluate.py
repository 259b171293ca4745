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
from pathlib import Path

import jax
from absl import flags, logging

from vlm3_jax import cli, config
from vlm3_jax.decoding.load import load_decoder, resolve_dtype
from vlm3_jax.evaluation import report
from vlm3_jax.evaluation.benchmark import open_sources
from vlm3_jax.evaluation.cache import AnswerCache
from vlm3_jax.evaluation.config import EvalConfig
from vlm3_jax.evaluation.run import evaluate
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
    encoder, decoder = load_decoder(_CHECKPOINT.value, dtype, settings.mesh, settings.decoding)
    results = evaluate(
        settings,
        sources,
        encoder,
        decoder,
        cache,
        Path(_WORKDIR.value),
        checkpoint=_CHECKPOINT.value,
        dtype=dtype,
    )
    if jax.process_index() == 0:
        logging.info("wrote %s", _WORKDIR.value)
        print(report.table(results), file=sys.stderr)
        told = {
            name: {part: one[part] for part in ("metrics", "counts")}
            for name, one in results["benchmarks"].items()
        }
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    cli.run(main)
