"""Trains a model: `python -m vlm3_jax.train --config=configs/depth.py --workdir=DIR`."""

from absl import flags

from vlm3_jax import cli, config
from vlm3_jax.parallel import distributed
from vlm3_jax.training.config import TrainConfig
from vlm3_jax.training.loop import train

_CONFIG = config.define_flag(TrainConfig)
_WORKDIR = flags.DEFINE_string(
    "workdir", None, "Folder of the run; a run that stopped there goes on.", required=True
)


def main() -> None:
    """Runs the command."""
    settings = config.parse(TrainConfig, _CONFIG.value)
    distributed.initialize()
    train(settings, _WORKDIR.value)


if __name__ == "__main__":
    cli.run(main)
