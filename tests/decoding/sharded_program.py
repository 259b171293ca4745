"""Answers `mixed_samples` on a mesh of 8 simulated devices; started by `test_sharded`.

Prints, for each of the settings given as JSON, the token ids of all answers and what their first
numbers could have been.
"""

import json
import sys
from pathlib import Path

from tests.decoding.cases import as_number, mixed_samples, our_answers
from vlm3_jax.data.encoder import Encoder
from vlm3_jax.parallel.distributed import initialize
from vlm3_jax.parallel.mesh import MeshConfig

if __name__ == "__main__":
    initialize()
    folder, settings, *sizes = sys.argv[1:]
    Encoder.decode = lambda self, tokens: "".join(map(as_number, tokens))
    mesh, found = MeshConfig(*map(int, sizes)), []
    for one in json.loads(settings):
        answers = our_answers(Path(folder), mixed_samples(), mesh=mesh, images=1, **one)
        values = [[[one.value, one.probability] for one in answer.values] for answer in answers]
        found.append([[answer.token_ids for answer in answers], values])
    print(json.dumps(found))
