"""Checks that every way to decode says, token for token, what transformers says.

    python -m launch.check_decode --checkpoint=CKPT [--images=DIR] [--focal=150] \
        [--num_images=10] [--questions=30] [--rows=1,7,100] [--max_new_tokens=40] \
        [--replica=1 --fsdp=-1 --tensor=1]

Depth questions at random points of images, every other image with a second one beside it, go
through `generate` one by one, and through the decoder with and without the shared prefix, refilled
rows and drafts, each with so many rows; in float32, greedily. Without --images, which takes a
folder in DepthLM's format, images are made up. Prints a line a way; a difference ends with exit
status 1. `XLA_FLAGS=--xla_force_host_platform_device_count=8` simulates devices on a CPU, over
which --replica, --fsdp and --tensor lay the mesh.
"""

import os
import tempfile
from importlib.util import find_spec
from pathlib import Path

import jax
from absl import flags

from launch.bench.decoding.folder import prepare
from launch.bench.decoding.plan import Answers, Plan, TorchSide
from launch.bench.decoding.questions import draw_samples
from launch.bench.decoding.ways import all_ways, compare, decode, with_pairs
from launch.bench.process import in_own_process
from vlm3_jax import cli
from vlm3_jax.errors import BadInput
from vlm3_jax.parallel.mesh import MeshConfig

CHECKPOINT = flags.DEFINE_string(
    "checkpoint", None, "Hugging Face folder, hub id, or folder of train or convert.", required=True
)
IMAGES = flags.DEFINE_string("images", None, "Folder with *.jsonl and the images they name.")
FOCAL = flags.DEFINE_float("focal", 150.0, "Focal length in pixels that images are resized to.")
NUM_IMAGES = flags.DEFINE_integer("num_images", 10, "Of the folder, or made up.", lower_bound=2)
QUESTIONS = flags.DEFINE_integer("questions", 30, "About each image.", lower_bound=1)
ROWS = flags.DEFINE_list("rows", ["1", "7", "100"], "Questions of an image answered at a time.")
NEW_TOKENS = flags.DEFINE_integer("max_new_tokens", 40, "Of an answer.", lower_bound=1)
MESH = [
    flags.DEFINE_integer(name, size, f"Devices along the mesh's axis {name}.")
    for name, size in (("replica", 1), ("fsdp", -1), ("tensor", 1))
]
SEED = flags.DEFINE_integer("seed", 0, "Of points and of made-up images.")


def main() -> int:
    """Prints a line a way; returns the exit status."""
    if find_spec("torch") is None:
        raise BadInput("torch is missing: pip install -r requirements-dev.txt.")
    if not ROWS.value or not all(text.isdecimal() and int(text) > 0 for text in ROWS.value):
        raise BadInput(f"--rows={','.join(ROWS.value)} are no numbers of rows: give them as 1,7.")
    rows = tuple(map(int, ROWS.value))
    folder = None if IMAGES.value is None else Path(IMAGES.value)
    samples = with_pairs(
        draw_samples(folder, NUM_IMAGES.value, QUESTIONS.value, FOCAL.value, SEED.value)
    )
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["JAX_COMPILATION_CACHE_DIR"] = f"{scratch}/compiled"
        plan = Plan(
            weights=prepare(CHECKPOINT.value, Path(scratch), fixed_length=False),
            samples=samples,
            counts=(QUESTIONS.value,),
            max_new_tokens=NEW_TOKENS.value,
            in_flight=1,
            torch_questions=len(samples) * QUESTIONS.value,
            torch_attention="sdpa",
            dtype="float32",
        )
        expected = in_own_process(_transformers, plan)
        different = len(set(expected.values()))
        print(f"{len(expected)} questions, {different} different answers", flush=True)
        mesh = MeshConfig(*(flag.value for flag in MESH))
        failed = False
        for way, same in compare(expected, all_ways(rows), lambda way: decode(plan, way, mesh)):
            failed |= same < len(expected)
            print(f"{same} the same on {jax.device_count()} devices: {way}", flush=True)
    return int(failed)


def _transformers(plan: Plan) -> Answers:
    from launch.bench.decoding import theirs  # Needs torch, which decoding does not.

    return theirs.measure(plan, TorchSide(batch=1)).passes[0].answers


if __name__ == "__main__":
    cli.run(main)
