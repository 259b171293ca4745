"""Answers `mixed_samples` on a mesh of 8 simulated devices; started by `test_sharded`."""

import json
import sys
from pathlib import Path

from tests.decoding.cases import mixed_samples, our_answers
from vlm3_jax.parallel.distributed import initialize
from vlm3_jax.parallel.mesh import MeshConfig

if __name__ == "__main__":
    initialize()
    folder, *sizes = sys.argv[1:]
    answers = our_answers(
        Path(folder), mixed_samples(), mesh=MeshConfig(*map(int, sizes)), images=1
    )
    print(json.dumps([answer.token_ids for answer in answers]))
