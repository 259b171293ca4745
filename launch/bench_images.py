"""Times the way from a JPEG to patches by each image backend, and transformers beside them.

    python -m launch.bench_images [--images=DIR] [--stored=1215x920,640x480,1920x1453] \
        [--shown=1215x920] [--num_images=8] [--rounds=5] [--workers=2] [--out=FILE]

The files, in memory, are JPEGs of each of the sizes --stored: photographs of --images resized, or
images made up. All sides resize them to --shown, as the unification of focal lengths does, then to
Qwen's multiple of 32 pixels, and cut patches:

    transformers   Pillow, then Qwen2VLImageProcessorPil
    torchvision    Pillow, then Qwen2VLImageProcessor, where torchvision can be imported
    exact, fast    the backends of vlm3_jax

`resize` holds the cutting too where a side does both in one; transformers' sides also normalise
and double the time step, which vlm3_jax leaves to the device.

Stages are timed in CPU seconds on one core, so that other work on the machine counts little; the
sides take turns, image by image. Workers are processes that take images of the first size, timed by
the clock and by their own CPU time (what idle cores would give); `first` is what their first image
takes, with the loading of compiled code. Where fast and exact differ by more than one level, the
exit status is 1. Linux only: processes are kept on their cores.
"""

import os
import sys
from pathlib import Path

from absl import flags, logging

from launch.bench.images.inputs import jpegs
from launch.bench.images.report import Timed, readable_case, readable_workers, side_figures
from launch.bench.images.sides import OURS, PROCESSOR, Way, distance, run, way
from launch.bench.images.workers import throughput
from vlm3_jax import cli
from vlm3_jax.errors import BadInput
from vlm3_jax.files import json_bytes, write_whole

IMAGES = flags.DEFINE_string("images", None, "Folder of photographs; made up without it.")
STORED = flags.DEFINE_list("stored", ["1215x920", "640x480", "1920x1453"], "Sizes of the files.")
SHOWN = flags.DEFINE_string("shown", "1215x920", "Size after unification.")
QUALITY = flags.DEFINE_integer("quality", 90, "Of the JPEGs.", lower_bound=1, upper_bound=100)
NUM_IMAGES = flags.DEFINE_integer("num_images", 8, "Of each size.", lower_bound=1)
ROUNDS = flags.DEFINE_integer("rounds", 5, "Times that each image is taken.", lower_bound=1)
WORKERS = flags.DEFINE_integer("workers", 2, "Most worker processes.", lower_bound=1)
SECONDS = flags.DEFINE_float("seconds", 3.0, "That workers run.", lower_bound=0)
SEED = flags.DEFINE_integer("seed", 0, "Of made-up images.")
OUT = flags.DEFINE_string("out", None, "File for the figures as JSON.")


def main() -> int:
    """Prints tables; returns the exit status."""
    shown = _size("shown", SHOWN.value)
    folder = None if IMAGES.value is None else Path(IMAGES.value)
    cases = {
        text: jpegs(folder, NUM_IMAGES.value, _size("stored", text), QUALITY.value, SEED.value)
        for text in STORED.value
    }
    if not cases:
        raise BadInput("--stored is empty: give sizes such as 1215x920.")
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    ways = _ways(shown)
    figures = {"load_average": os.getloadavg()[0], "cases": {}}
    rows, columns = PROCESSOR.grid(*shown)
    for text, files in cases.items():
        timed = _time(ways, files)
        figures["cases"][text] = {name: side_figures(one) for name, one in timed.items()}
        size = sum(map(len, files)) / len(files) / 1e3
        title = (
            f"\n{text} JPEG of {size:.0f} kB, shown at {SHOWN.value}: {rows * columns} patches;"
            f" {len(files)} images, one core, CPU time"
        )
        print(readable_case(title, figures["cases"][text]))
    os.sched_setaffinity(0, cores)
    first = STORED.value[0]
    found = {}
    for side in ("transformers", *OURS):
        found[side] = [
            throughput(side, cases[first], shown, workers, SECONDS.value)
            for workers in range(1, WORKERS.value + 1)
        ]
    title = f"\n{first} JPEG, images/s by worker processes on {len(cores)} cores"
    print(readable_workers(title, found))
    figures["workers"] = {side: [x._asdict() for x in several] for side, several in found.items()}
    if OUT.value:
        write_whole(Path(OUT.value), json_bytes(figures))
    apart = max(case["fast"]["largest_difference"] for case in figures["cases"].values())
    if apart > 1:
        print(f"error: fast and exact differ by {apart} levels.", file=sys.stderr)
    return int(apart > 1)


def _size(flag: str, text: str) -> tuple[int, int]:
    sides = text.split("x")
    if len(sides) != 2 or not all(side.isdecimal() and int(side) > 1 for side in sides):
        raise BadInput(f"--{flag}={text} is no size: give width and height as 1215x920.")
    return int(sides[0]), int(sides[1])


def _ways(shown: tuple[int, int]) -> dict[str, Way]:
    ways = {}
    for side in ("transformers", "torchvision", *OURS):
        try:
            ways[side] = way(side, shown)
        except ImportError as error:
            logging.info("%s is left out: %s", side, error)
    return ways


def _time(ways: dict[str, Way], files: list[bytes]) -> dict[str, Timed]:
    """Every side in turn with every image, as often as --rounds says, after one untimed round."""
    made = {name: [run(each, file)[0] for file in files] for name, each in ways.items()}
    apart = {name: distance(patches, made["exact"]) for name, patches in made.items()}
    rounds = {name: [] for name in ways}
    for _ in range(ROUNDS.value):
        totals = {name: [] for name in ways}
        for file in files:
            for name, each in ways.items():
                totals[name].append(run(each, file)[1])
        for name, stages in totals.items():
            rounds[name].append([sum(stage) / len(files) for stage in zip(*stages, strict=True)])
    return {name: Timed(rounds[name], *apart[name]) for name in ways}


if __name__ == "__main__":
    cli.run(main)
