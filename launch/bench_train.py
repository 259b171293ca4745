"""Times the training step of a configuration, and transformers with torch beside it.

    python -m launch.bench_train --config=configs/bench_cpu.py [--rounds=3] [--updates=2]
        [--conversations_at_a_time=4] [--notorch] [--out=FILE] [--config.x.y=value]

Both sides start from the same weights and make the same updates from the same samples: ours in the
rows that the configuration packs, theirs as padded conversations. The loss and the gradient's norm
of the first batch have to agree. Rounds alternate, each in a process of its own, so that a device's
memory and the cores belong to one side at a time; compiling and warming up are not counted.

Tokens are those of samples, without padding. MFU is FLOPs needed / seconds / peak of the device,
with the FLOPs of `vlm3_jax/training/flops.py`, for both sides the same.
"""

import importlib.util
import os
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from multiprocessing import get_context
from pathlib import Path
from statistics import median

import jax
from absl import flags

from launch.bench.plan import Outcome, Plan
from vlm3_jax import cli
from vlm3_jax.config import define_flag, parse
from vlm3_jax.data.encoder import Encoder
from vlm3_jax.data.pipeline import train_iterator
from vlm3_jax.errors import BadInput
from vlm3_jax.files import json_bytes, write_whole
from vlm3_jax.hub import folder as hub
from vlm3_jax.hub.export import save_hf
from vlm3_jax.models.functional import init_params
from vlm3_jax.training.config import TrainConfig
from vlm3_jax.training.flops import peak_flops, training_flops

CONFIG = define_flag(TrainConfig)
ROUNDS = flags.DEFINE_integer("rounds", 3, "Times that each side runs.", lower_bound=1)
UPDATES = flags.DEFINE_integer("updates", 2, "Updates a round.", lower_bound=1)
AT_A_TIME = flags.DEFINE_integer(
    "conversations_at_a_time", 4, "That torch pads to one batch.", lower_bound=1
)
TORCH = flags.DEFINE_boolean("torch", True, "Whether transformers and torch run too.")
OUT = flags.DEFINE_string("out", None, "File for the figures as JSON.")

TOLERANCES = {"float32": 1e-3, "bfloat16": 3e-2}
"""Largest relative difference of the first loss and gradient norm, by compute type."""


def main() -> None:
    """Prints a line a round and side, and the comparison."""
    config = parse(TrainConfig, CONFIG.value)
    if TORCH.value and importlib.util.find_spec("torch") is None:
        raise BadInput("torch is not installed: pip install torch, or pass --notorch.")
    with tempfile.TemporaryDirectory() as scratch:
        plan = make_plan(config, Path(scratch))
        work = _work(config, plan)
        sides: dict[str, Callable[[Plan], Outcome]] = {"vlm3_jax": _ours}
        if TORCH.value:
            sides["transformers"] = _theirs
        outcomes: dict[str, list[Outcome]] = {name: [] for name in sides}
        for number in range(ROUNDS.value):
            for name, measure in sides.items():
                outcome = _in_own_process(measure, plan)
                outcomes[name].append(outcome)
                _print_round(number, name, outcome, work)
                _check_agreement(outcomes, TOLERANCES[config.model.compute_dtype])
    result = summary(outcomes, work)
    _print_summary(result)
    if OUT.value:
        write_whole(Path(OUT.value), json_bytes(result))


def make_plan(config: TrainConfig, scratch: Path) -> Plan:
    """Draws the batches, and writes random weights if the configuration starts from such."""
    assets = hub.assets_dir(config.model.checkpoint)
    encoder = Encoder.from_folder(assets)
    weights = assets
    if config.model.init == "random":
        weights = scratch / "weights"
        save_hf(init_params(encoder.config, config.seed), assets, weights)
    iterator = train_iterator(config.data, encoder, batch_size=config.batch_size, seed=config.seed)
    with closing(iterator):
        batches = tuple(next(iterator) for _ in range(UPDATES.value))
    return Plan(config, weights, batches, AT_A_TIME.value)


def summary(outcomes: dict[str, list[Outcome]], work: dict[str, float]) -> dict:
    """Figures of every side, and how many times faster ours is, by the medians of the rounds."""
    sides = {}
    for name, rounds in outcomes.items():
        seconds = median(outcome.seconds for outcome in rounds)
        sides[name] = {
            "seconds": [outcome.seconds for outcome in rounds],
            "start_seconds": median(outcome.start_seconds for outcome in rounds),
            "first_loss": rounds[0].first_loss,
            "first_grad_norm": rounds[0].first_grad_norm,
            "samples_per_s": work["samples"] / seconds,
            "tokens_per_s": work["tokens"] / seconds,
            "tflops_per_s": work["flops"] / seconds / 1e12,
            "about": rounds[0].about,
        }
        if "peak_flops" in work:
            sides[name]["mfu"] = work["flops"] / seconds / work["peak_flops"]
    result = {"work": work, "load": os.getloadavg()[0], "sides": sides}
    if len(sides) == 2:
        ours, theirs = sides.values()
        result["times_faster"] = ours["tokens_per_s"] / theirs["tokens_per_s"]
    return result


def _work(config: TrainConfig, plan: Plan) -> dict[str, float]:
    """Samples, tokens and FLOPs of a round, and the peak of the devices where it is known."""
    model = Encoder.from_folder(plan.weights).config
    work = {
        "samples": sum(int(batch.text.segment_ids.max(1).sum()) for batch in plan.batches),
        "tokens": sum(int((batch.text.segment_ids > 0).sum()) for batch in plan.batches),
        "flops": sum(float(training_flops(model, batch)) for batch in plan.batches),
    }
    peak = peak_flops(jax.devices()[0])
    return work if peak is None else work | {"peak_flops": peak * jax.device_count()}


def _ours(plan: Plan) -> Outcome:
    from launch.bench import ours

    return ours.measure(plan)


def _theirs(plan: Plan) -> Outcome:
    from launch.bench import theirs  # Needs torch, which training does not.

    return theirs.measure(plan)


def _in_own_process(measure: Callable[[Plan], Outcome], plan: Plan) -> Outcome:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(measure, plan).result()


def _check_agreement(outcomes: dict[str, list[Outcome]], tolerance: float) -> None:
    """Raises RuntimeError where the sides do not do the same work."""
    rounds = [outcome for side in outcomes.values() for outcome in side]
    for name in ("first_loss", "first_grad_norm"):
        values = [getattr(outcome, name) for outcome in rounds]
        if max(values) - min(values) > tolerance * max(values):
            raise RuntimeError(f"the sides do not do the same work: {name} is {values}")


def _print_round(number: int, name: str, outcome: Outcome, work: dict[str, float]) -> None:
    print(
        f"round {number + 1}  {name:12}  {outcome.seconds:8.2f} s"
        f"  {work['tokens'] / outcome.seconds:9.1f} tokens/s  first loss {outcome.first_loss:.5f}"
        f"  gradient norm {outcome.first_grad_norm:.4f}  (start {outcome.start_seconds:.0f} s)",
        flush=True,
    )


def _print_summary(result: dict) -> None:
    work = result["work"]
    print(
        f"\n{work['samples']} samples of {work['tokens']} tokens a round,"
        f" {work['flops'] / 1e12:.3f} TFLOP needed; load average {result['load']:.1f}"
    )
    for name, side in result["sides"].items():
        mfu = f"  mfu {side['mfu']:.1%}" if "mfu" in side else ""
        print(
            f"{name:12}  {side['samples_per_s']:8.2f} samples/s  {side['tokens_per_s']:9.1f}"
            f" tokens/s  {side['tflops_per_s']:7.3f} TFLOP/s{mfu}   {side['about']}"
        )
    if "times_faster" in result:
        print(f"vlm3_jax makes {result['times_faster']:.2f} times the tokens/s of transformers")


if __name__ == "__main__":
    cli.run(main)
