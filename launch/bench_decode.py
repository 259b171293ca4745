"""Times the answers to many questions about an image, and transformers with torch beside it.

    python -m launch.bench_decode --checkpoint=CKPT [--images=DIR] [--focal=600] \
        [--questions=1,10,100] [--num_images=1] [--max_new_tokens=40] [--rounds=2] \
        [--sides=notebook,batched,ours] [--notorch] [--out=FILE]

All sides answer the same depth questions at random points of the same images with the same weights,
greedily, and have to say the same tokens: in float32 a difference ends with exit status 1. Without
--images, which takes a folder in DepthLM's format, images are made up.

    notebook        transformers as in VLM3's notebook: every question alone, from its image on
    batched         transformers, eight questions at a time, each with its image
    ours            the decoder of vlm3_jax
    ours_no_prefix  ours without the shared prefix
    ours_no_draft   ours without drafts
    ours_one_row    ours with one question at a time

Rounds alternate, each side in a process of its own, so that memory and cores belong to one at a
time; loading, compiling and warming up are not counted, encoding images and texts is. transformers,
which does the same for every question, answers only --torch_questions of them.

With --fixed_length (the default) no token ends an answer, so that random weights do the work of
trained ones. FLOPs are those of `launch/bench/decoding/flops.py`.
"""

import os
import sys
import tempfile
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import jax
from absl import flags, logging

from launch.bench.decoding import ours
from launch.bench.decoding.folder import prepare
from launch.bench.decoding.plan import SIDES, OurSide, Outcome, Plan, TorchSide
from launch.bench.decoding.questions import draw_samples
from launch.bench.decoding.report import OURS, first_difference, readable, summary
from launch.bench.process import in_own_process
from vlm3_jax import cli
from vlm3_jax.errors import BadInput
from vlm3_jax.files import json_bytes, write_whole

CHECKPOINT = flags.DEFINE_string(
    "checkpoint", None, "Hugging Face folder, hub id, or folder of train or convert.", required=True
)
IMAGES = flags.DEFINE_string("images", None, "Folder with *.jsonl and the images they name.")
FOCAL = flags.DEFINE_float("focal", 600.0, "Focal length in pixels that images are resized to.")
QUESTIONS = flags.DEFINE_list("questions", ["100"], "Numbers of questions an image.")
NUM_IMAGES = flags.DEFINE_integer("num_images", 1, "Of the folder, or made up.", lower_bound=1)
NEW_TOKENS = flags.DEFINE_integer("max_new_tokens", 40, "Of an answer.", lower_bound=1)
FIXED_LENGTH = flags.DEFINE_boolean("fixed_length", True, "Whether every answer is that long.")
IN_FLIGHT = flags.DEFINE_integer(
    "in_flight", 100, "Most questions of an image that ours answers at a time.", lower_bound=1
)
ROUNDS = flags.DEFINE_integer("rounds", 2, "Times that each side runs.", lower_bound=1)
SIDE_NAMES = flags.DEFINE_list("sides", ["notebook", "batched", OURS], f"Of {', '.join(SIDES)}.")
TORCH = flags.DEFINE_boolean("torch", True, "Whether those of transformers run.")
TORCH_QUESTIONS = flags.DEFINE_integer(
    "torch_questions", 8, "That transformers answers, but two batches at least.", lower_bound=1
)
ATTENTION = flags.DEFINE_string("torch_attention", "sdpa", "transformers' attn_implementation.")
DTYPE = flags.DEFINE_enum(
    "dtype", "auto", ["auto", "float32", "bfloat16"], "auto: float32 on a CPU, bfloat16 elsewhere."
)
SEED = flags.DEFINE_integer("seed", 0, "Of points and of made-up images.")
OUT = flags.DEFINE_string("out", None, "File for the figures as JSON.")


def main() -> int:
    """Prints a table; returns the exit status."""
    names = _side_names()
    counts = _counts()
    folder = None if IMAGES.value is None else Path(IMAGES.value)
    samples = draw_samples(folder, NUM_IMAGES.value, counts[-1], FOCAL.value, SEED.value)
    jax.config.update("jax_platforms", "cpu")  # Of this process: devices are for the sides.
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["JAX_COMPILATION_CACHE_DIR"] = f"{scratch}/compiled"  # For later rounds.
        plan = Plan(
            weights=prepare(CHECKPOINT.value, Path(scratch), FIXED_LENGTH.value),
            samples=samples,
            counts=counts,
            max_new_tokens=NEW_TOKENS.value,
            in_flight=IN_FLIGHT.value,
            torch_questions=TORCH_QUESTIONS.value,
            torch_attention=ATTENTION.value,
            dtype=DTYPE.value,
        )
        rounds: dict[str, list[Outcome]] = {name: [] for name in names}
        loads = []
        for number in range(1, ROUNDS.value + 1):
            loads.append(os.getloadavg()[0])
            logging.info("round %d of %d, load average %.2f", number, ROUNDS.value, loads[-1])
            for name in sorted(names, key=lambda name: name != OURS):  # It finds the device.
                rounds[name].append(in_own_process(_measure, plan, name))
                if name == OURS:
                    plan = _for_others(plan, rounds)
        figures = summary(plan, rounds)  # It reads the folder of the weights.
    settings = {flag.name: flag.value for flag in (CHECKPOINT, IMAGES, FOCAL, FIXED_LENGTH, SEED)}
    figures |= {"dtype": plan.dtype, "load_average": loads, "settings": settings}
    print(readable(figures))
    if OUT.value:
        write_whole(Path(OUT.value), json_bytes(figures))
    difference = first_difference(figures)
    if difference is None or plan.dtype != "float32":
        return 0
    print(f"error: {difference}.", file=sys.stderr)
    return 1


def _side_names() -> list[str]:
    """The sides to run, in the order of `SIDES`."""
    asked = SIDE_NAMES.value
    for name in asked:
        if name not in SIDES:
            raise BadInput(f"--sides names {name!r}: choose of {', '.join(SIDES)}.")
    if OURS not in asked:
        raise BadInput(
            f"--sides={','.join(asked)} lacks {OURS}, which all are compared to: add it."
        )
    chosen = [name for name in SIDES if name in asked]
    if not TORCH.value:
        return [name for name in chosen if isinstance(SIDES[name], OurSide)]
    if find_spec("torch") is None:
        raise BadInput("torch is missing: pip install -r requirements-dev.txt, or pass --notorch.")
    return chosen


def _counts() -> tuple[int, ...]:
    """Numbers of questions, ascending."""
    texts = QUESTIONS.value
    if not texts or not all(text.isdecimal() and int(text) > 0 for text in texts):
        raise BadInput(
            f"--questions={','.join(texts)} are no numbers of questions: give them as 1,10,100."
        )
    return tuple(sorted({int(text) for text in texts}))


def _for_others(plan: Plan, rounds: dict[str, list[Outcome]]) -> Plan:
    """The plan with the type and the device that ours ran with."""
    about = rounds[OURS][-1].about
    if about["devices"] > 1 and any(isinstance(SIDES[name], TorchSide) for name in rounds):
        raise BadInput(
            f"torch is compared on one device, but jax sees {about['devices']}: hide the others"
            " (CUDA_VISIBLE_DEVICES=0), or pass --notorch."
        )
    return replace(plan, dtype=about["dtype"], platform=about["platform"])


def _measure(plan: Plan, name: str) -> Outcome:
    side = SIDES[name]
    if isinstance(side, OurSide):
        return ours.measure(plan, side)
    from launch.bench.decoding import theirs  # Needs torch, which decoding does not.

    return theirs.measure(plan, side)


if __name__ == "__main__":
    cli.run(main)
