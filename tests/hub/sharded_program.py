"""Loads a folder onto a mesh of 8 devices and writes it again; started by `test_sharded`.

Prints how many bytes of the weights this process read.
"""

import sys
from pathlib import Path

import jax
import numpy as np

from vlm3_jax.hub import load, safetensors_files
from vlm3_jax.hub.export import save_hf
from vlm3_jax.hub.folder import load_params, save_params_folder
from vlm3_jax.models.functional import abstract_params
from vlm3_jax.models.qwen3_vl.config import Qwen3VLConfig
from vlm3_jax.parallel.distributed import initialize
from vlm3_jax.parallel.mesh import make_mesh
from vlm3_jax.parallel.sharding import param_shardings


class CountingWeights(safetensors_files.WeightFiles):
    """Counts the bytes that pass."""

    read = 0

    def sliceable(self, name):
        tensor = super().sliceable(name)

        class Counting:
            def __getitem__(self, index):
                array = tensor[index]
                # The patch embedding is read whole for each of its small slices.
                CountingWeights.read += array.nbytes if "patch_embed" not in name else 0
                return array

        return Counting()


def main(src: Path, dst: Path, copies: int) -> None:
    initialize()
    load.WeightFiles = CountingWeights
    mesh = make_mesh(replica=copies, fsdp=-1, tensor=2)
    shardings = param_shardings(abstract_params(Qwen3VLConfig.from_folder(src)), mesh)

    assets, params = load_params(src, shardings)
    print(f"read {CountingWeights.read} bytes")
    check_placement(params, shardings, copies)
    save_hf(params, assets, dst / "from_hf", max_shard_bytes=500_000)

    save_params_folder(params, assets, dst / "ours")
    assets, params = load_params(dst / "ours", shardings)
    check_placement(params, shardings, copies)
    save_hf(params, assets, dst / "from_ours")


def check_placement(params, shardings, copies: int) -> None:
    assert jax.tree.map(lambda leaf: leaf.sharding, params) == shardings
    kernel = params["text"]["layers"]["mlp"]["up_proj"]["kernel"]
    assert kernel.addressable_shards[0].data.size * (8 // copies) == kernel.size
    assert all(np.asarray(shard.data).any() for shard in kernel.addressable_shards)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
