"""Times the training step of a configuration, and transformers with torch beside it.

    python -m launch.bench_train --config=configs/bench_cpu.py [--rounds=3] [--updates=2] \
        [--notorch] [--out=FILE] [--config.x.y=value]

Both sides make the same updates from the same samples and weights, in the same types, with the same
AdamW, clipping and rematerialisation. Ours runs the compiled step of `train` on the rows that the
configuration packs. torch runs what people fine-tune with: `Qwen3VLForConditionalGeneration` with
SDPA on padded conversations of similar length, as many at a time as is fastest here, and fused
AdamW. Samples are encoded and padded beforehand. The loss and the gradient's norm of the first
update have to agree.

Rounds alternate, each in a process of its own, so that memory and cores belong to one side at a
time; compiling and warming up are not counted.

Tokens are text and what images become, without padding. MFU is FLOPs needed / seconds / peak of the
device, with the FLOPs of `vlm3_jax/training/flops.py`, for both sides the same: matrix products of
real tokens and patches and of answers' logits, three times the forward pass.
"""

import os
import tempfile
from contextlib import closing
from dataclasses import replace
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

import jax
from absl import flags, logging

from launch.bench import ours, weights
from launch.bench.plan import WARM_UP_STEPS, Outcome, Plan
from launch.bench.process import in_own_process
from launch.bench.report import check_agreement, readable, summary
from vlm3_jax import cli
from vlm3_jax.config import define_flag, parse, to_dict
from vlm3_jax.data.encoder import Encoder
from vlm3_jax.data.pipeline import train_iterator
from vlm3_jax.errors import BadInput
from vlm3_jax.files import json_bytes, write_whole
from vlm3_jax.hub import folder as hub
from vlm3_jax.training.config import TrainConfig
from vlm3_jax.training.optimizer import make_schedule

CONFIG = define_flag(TrainConfig)
ROUNDS = flags.DEFINE_integer("rounds", 3, "Times that each side runs.", lower_bound=1)
UPDATES = flags.DEFINE_integer(
    "updates", 2, "Updates a round, each from a batch of its own.", lower_bound=1
)
AT_A_TIME = flags.DEFINE_integer(
    "conversations_at_a_time",
    0,
    "That torch pads to one batch; 0 finds the fastest number.",
    lower_bound=0,
)
ATTENTION = flags.DEFINE_string("torch_attention", "sdpa", "transformers' attn_implementation.")
TORCH = flags.DEFINE_boolean("torch", True, "Whether transformers and torch run too.")
OUT = flags.DEFINE_string("out", None, "File for the figures as JSON.")


def main() -> None:
    """Prints a table."""
    config = parse(TrainConfig, CONFIG.value)
    if TORCH.value and find_spec("torch") is None:
        raise BadInput("torch is missing: pip install -r requirements-dev.txt, or pass --notorch.")
    jax.config.update("jax_platforms", "cpu")  # Of this process: devices are for the sides.
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["JAX_COMPILATION_CACHE_DIR"] = f"{scratch}/compiled"  # For later rounds.
        plan = _make_plan(config, Path(scratch))
        rounds, loads = {"vlm3_jax": []}, []
        if TORCH.value:
            rounds["transformers"] = []
        for number in range(1, ROUNDS.value + 1):
            loads.append(os.getloadavg()[0])
            logging.info("round %d of %d, load average %.2f", number, ROUNDS.value, loads[-1])
            mine = in_own_process(ours.measure, plan)
            rounds["vlm3_jax"].append(mine)
            if TORCH.value:
                plan = _for_torch(plan, mine)
                theirs = in_own_process(_theirs, plan)
                rounds["transformers"].append(theirs)
                check_agreement(mine, theirs, config.model.compute_dtype)
                # Found in the first round.
                at_a_time = theirs.about["conversations_at_a_time"]
                plan = replace(plan, conversations_at_a_time=at_a_time)
        figures = summary(plan, rounds)  # It reads the folder of the weights.
    figures |= {"load_average": loads, "config": to_dict(config)}
    print(readable(figures))
    if OUT.value:
        write_whole(Path(OUT.value), json_bytes(figures))


def _make_plan(config: TrainConfig, scratch: Path) -> Plan:
    """Draws the batches; weights that no Hugging Face folder holds go to `scratch`."""
    assets = hub.assets_dir(config.model.checkpoint)
    batches = train_iterator(
        config.data, Encoder.from_folder(assets), batch_size=config.batch_size, seed=config.seed
    )
    schedule = make_schedule(config.optimizer, config.batch_size, config.total_steps)
    with closing(batches):
        plan = Plan(
            config=config,
            weights=assets,
            batches=tuple(islice(batches, UPDATES.value)),
            learning_rates=tuple(float(schedule(i)) for i in range(WARM_UP_STEPS + UPDATES.value)),
            conversations_at_a_time=AT_A_TIME.value,
            torch_attention=ATTENTION.value,
        )
    if config.model.init == "checkpoint" and any(assets.glob("*.safetensors")):
        return plan
    plan = replace(plan, weights=scratch / "weights")
    in_own_process(weights.write, plan)
    return plan


def _for_torch(plan: Plan, mine: Outcome) -> Plan:
    """The plan with the device that ours ran on."""
    if mine.about["devices"] > 1:
        raise BadInput(
            f"torch is compared on one device, but jax sees {mine.about['devices']}: hide the"
            " others (CUDA_VISIBLE_DEVICES=0), or pass --notorch."
        )
    return replace(plan, platform=mine.about["platform"])


def _theirs(plan: Plan) -> Outcome:
    from launch.bench import theirs  # Needs torch, which training does not.

    return theirs.measure(plan)


if __name__ == "__main__":
    cli.run(main)
