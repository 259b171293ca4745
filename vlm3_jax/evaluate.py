"""Scores a checkpoint on a set of labelled depth points.

    python -m vlm3_jax.evaluate --config=configs/eval.py --checkpoint=CKPT --workdir=DIR

Writes DIR/results.json and DIR/predictions.jsonl when all is done, prints a table on standard error
and the metrics as one JSON line on standard output. Results that DIR holds are never replaced.
"""

import json
import sys

import jax
from absl import flags, logging

from vlm3_jax import cli, config
from vlm3_jax.data.sources import open_source
from vlm3_jax.decoding.load import load_decoder, resolve_dtype
from vlm3_jax.evaluation import report
from vlm3_jax.evaluation.benchmark import predict_depth
from vlm3_jax.evaluation.config import EvalConfig
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
    dataset = settings.dataset
    source = open_source(dataset.data_dir, dataset.name, dataset.split)
    dtype = resolve_dtype(settings.dtype)
    encoder, decoder = load_decoder(_CHECKPOINT.value, dtype, settings.mesh, settings.decoding)
    predictions = predict_depth(settings, source, encoder, decoder)
    if jax.process_index() == 0:
        results = report.summarize(
            predictions,
            settings,
            num_views=len(source),
            checkpoint=_CHECKPOINT.value,
            dtype=dtype,
            device=jax.devices()[0].device_kind,
        )
        report.write(_WORKDIR.value, results, predictions)
        logging.info("wrote %s", _WORKDIR.value)
        print(report.table(results), file=sys.stderr)
        print(json.dumps(results["metrics"] | results["counts"]), flush=True)


if __name__ == "__main__":
    cli.run(main)
