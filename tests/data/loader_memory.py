"""Loads samples of a mixture with worker processes and prints how much memory all of it takes.

python -m tests.data.loader_memory DATA_DIR HF_FOLDER WORKERS SAMPLES
"""

import json
import sys
from contextlib import closing
from pathlib import Path

import psutil

from tests.data.toy_mixture import config
from vlm3_jax.data.encoder import Encoder
from vlm3_jax.data.pipeline import train_iterator

BATCH, CHECKS = 20, 20


def tree_bytes() -> int:
    """Memory of this process and its workers; what several have in common counts in each."""
    this = psutil.Process()
    return sum(one.memory_info().rss for one in (this, *this.children(recursive=True)))


def main(data_dir: str, hf_folder: str, workers: str, samples: str) -> None:
    """Prints a JSON list: [samples so far, bytes] at equal distances."""
    data = config(Path(data_dir), num_workers=int(workers))
    batches = int(samples) // BATCH
    found = []
    encoder = Encoder.from_folder(hf_folder)
    with closing(train_iterator(data, encoder, batch_size=BATCH, seed=0)) as loader:
        for number in range(1, batches + 1):
            next(loader)
            if number % (batches // CHECKS) == 0:
                found.append((number * BATCH, tree_bytes()))
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
