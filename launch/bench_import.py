"""How fast weights are imported, and how much host memory it takes beside the parameters.

    python -m launch.bench_import --src=HF_FOLDER [--dtype=bfloat16]

On a CPU the parameters themselves are in host memory too, and are subtracted.
"""

import json
import time
from pathlib import Path

import jax
import jax.numpy as jnp
from absl import flags

from vlm3_jax import cli
from vlm3_jax.hub.folder import load_params

SRC = flags.DEFINE_string("src", None, "Hugging Face folder with weights.", required=True)
DTYPE = flags.DEFINE_enum("dtype", "bfloat16", ["bfloat16", "float32"], "Type to keep them in.")


def main() -> None:
    """Prints one JSON object; sizes in GB of 1e9 bytes."""
    jax.devices()  # What jax itself takes is not the import's.
    before = _memory("VmRSS")
    started = time.perf_counter()
    _, params = load_params(SRC.value, dtype=jnp.dtype(DTYPE.value))
    seconds = time.perf_counter() - started
    kept = sum(leaf.nbytes for leaf in jax.tree.leaves(params))
    on_host = kept if jax.default_backend() == "cpu" else 0
    files = [path.stat().st_size for path in Path(SRC.value).glob("*.safetensors")]
    result = {
        "seconds": seconds,
        "read_gb_per_s": sum(files) / 1e9 / seconds,
        "parameters_gb": kept / 1e9,
        "largest_file_gb": max(files) / 1e9,
        "peak_beside_parameters_gb": (_memory("VmHWM") - before - on_host) / 1e9,
    }
    print(json.dumps({name: round(value, 3) for name, value in result.items()}))


def _memory(field: str) -> int:
    """Bytes of resident memory of this process, now (VmRSS) or at most so far (VmHWM)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


if __name__ == "__main__":
    cli.run(main)
