"""Builds `Counting` in a process of its own: python -m ... RAW OUT WORKERS|BEAM_OPTIONS."""

import sys
from pathlib import Path

from tests.tfds_builders.counting import Counting
from tfds_builders.writing import write_dataset

if __name__ == "__main__":
    raw, out, *who = sys.argv[1:]
    beam = who if who[0].startswith("--") else None
    workers = 1 if beam else int(who[0])
    write_dataset(Counting(data_dir=out), Path(raw), workers, beam_options=beam)
