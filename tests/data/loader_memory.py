"""Loads samples of a mixture with worker processes and prints how much memory all of it takes.

python -m tests.data.loader_memory CONFIG HF_FOLDER SAMPLES

CONFIG is a `DataConfig` as JSON. Nothing of the tests is imported, for it would count.
"""

# ruff: noqa: E402
import json
import sys

# Transformers would import it, for the tests' environment has it; a trainer's has not.
sys.modules["torch"] = None

from contextlib import closing

import psutil
from ml_collections import ConfigDict

from vlm3_jax.config import parse
from vlm3_jax.data.encoder import Encoder
from vlm3_jax.data.pipeline import DataConfig, train_iterator

BATCH, CHECKS = 20, 20


def tree_bytes() -> int:
    """Memory of this process and its workers; what several have in common counts in each."""
    this = psutil.Process()
    return sum(one.memory_info().rss for one in (this, *this.children(recursive=True)))


def main(config: str, hf_folder: str, samples: str) -> None:
    """Prints a JSON list: [samples so far, bytes] at equal distances."""
    data = parse(DataConfig, ConfigDict(json.loads(config)))
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
