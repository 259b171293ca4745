"""Proposes the budgets that packed rows of a configuration's samples fill well.

    python -m launch.propose_budgets --config=configs/depth.py --config.data.data_dir=DATA \
        --config.data.open_rows=16

It encodes the samples that training begins with, packs samples of their sizes at random into rows
of growing length, and takes the shortest rows that become as full as wanted.
"""

from absl import flags

from vlm3_jax import cli
from vlm3_jax.config import define_flag, parse
from vlm3_jax.data.budgets import Filling, propose, sample_sizes, simulate
from vlm3_jax.data.encoder import Encoder, Size
from vlm3_jax.errors import BadInput
from vlm3_jax.hub import folder as hub
from vlm3_jax.training.config import TrainConfig

CONFIG = define_flag(TrainConfig)
NUM_SAMPLES = flags.DEFINE_integer("num_samples", 256, "Samples to encode.", lower_bound=1)
TOKEN_FILL = flags.DEFINE_float(
    "token_fill", 0.95, "Wanted share of tokens.", lower_bound=0.01, upper_bound=1
)
PATCH_FILL = flags.DEFINE_float(
    "patch_fill", 0.9, "Wanted share of patches.", lower_bound=0.01, upper_bound=1
)


def main() -> None:
    """Prints sizes, fills and the settings."""
    config = parse(TrainConfig, CONFIG.value)
    data = config.data
    if not data.open_rows:
        raise BadInput(
            "config.data.open_rows is 0, which packs nothing: set it, to 16 for example."
        )
    encoder = Encoder.from_folder(hub.assets_dir(config.model.checkpoint))
    sizes = sample_sizes(data, encoder, NUM_SAMPLES.value, config.seed)
    packed = propose(sizes, data.open_rows, TOKEN_FILL.value, PATCH_FILL.value, config.seed)
    labels = ", ".join(data.active_sources)
    print(f"{len(sizes)} samples of {labels}, questions {data.questions!r}:")
    for name, column in zip(Size._fields, sizes.T, strict=True):
        print(
            f"  {name:11}mean {column.mean():8.1f}  least {column.min():6}  most {column.max():6}"
        )
    print(f"{'':16}max_tokens max_patches max_supervised token_fill patch_fill samples/row")
    _print_line("one sample", simulate(sizes, Size(*sizes.max(axis=0).tolist()), open_rows=0))
    _print_line(f"{data.open_rows} open rows", packed)
    print(
        f"--config.data.open_rows={data.open_rows} --config.data.max_tokens={packed.budget.tokens}"
        f" --config.data.max_patches={packed.budget.patches}"
        f" --config.data.max_supervised={packed.budget.supervised}"
    )


def _print_line(name: str, filling: Filling) -> None:
    print(
        f"  {name:14}{filling.budget.tokens:10}{filling.budget.patches:12}"
        f"{filling.budget.supervised:15}{filling.token_fill:11.3f}{filling.patch_fill:11.3f}"
        f"{filling.samples_per_row:12.2f}"
    )


if __name__ == "__main__":
    cli.run(main)
