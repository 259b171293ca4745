"""Builds `Counting` in a process of its own: python -m ... RAW OUT WORKERS."""

import sys
from pathlib import Path

from tests.tfds_builders.counting import Counting
from tfds_builders.writing import write_dataset

if __name__ == "__main__":
    raw, out, workers = sys.argv[1:]
    write_dataset(Counting(data_dir=out), Path(raw), int(workers))
