"""Trains a model.

    python -m vlm3_jax.train --config=configs/depth.py --workdir=DIR
    python -m vlm3_jax.train ... --eval_config=configs/eval.py:ibims1 --eval_every=1000

With --eval_config the model is evaluated as it is trained, into DIR/evaluations/STEP, and metrics
and samples are shown on the boards: TensorBoard, and Weights & Biases with
--config.wandb.project=NAME.
"""

from absl import flags

from vlm3_jax import cli, config
from vlm3_jax.evaluation.config import EvalConfig
from vlm3_jax.evaluation.periodic import PeriodicEvaluation
from vlm3_jax.parallel import distributed
from vlm3_jax.training.config import TrainConfig
from vlm3_jax.training.loop import train

_CONFIG = config.define_flag(TrainConfig)
_EVAL_CONFIG = config.define_flag(EvalConfig, "eval_config")
_EVAL_EVERY = flags.DEFINE_integer(
    "eval_every", 1000, "Steps from one evaluation to the next, with --eval_config.", lower_bound=1
)
_WORKDIR = flags.DEFINE_string(
    "workdir", None, "Folder of the run; a run that stopped there goes on.", required=True
)


def main() -> None:
    """Runs the command."""
    settings = config.parse(TrainConfig, _CONFIG.value)
    evaluated = None
    if _EVAL_CONFIG.value is not None:
        evaluated = config.parse(EvalConfig, _EVAL_CONFIG.value, "eval_config")
    distributed.initialize()
    observer = PeriodicEvaluation(evaluated, _EVAL_EVERY.value) if evaluated else None
    train(settings, _WORKDIR.value, observer)


if __name__ == "__main__":
    cli.run(main)
