"""Converts a checkpoint between the Hugging Face layout and ours, in either direction.

    python -m vlm3_jax.convert --src=HF_OR_CKPT --dst=DIR --to=jax|hf

Prints one JSON line: what was written and how much of it.
"""

import json

import jax
from absl import flags, logging

from vlm3_jax import cli
from vlm3_jax.hub.export import save_hf
from vlm3_jax.hub.folder import load_params, save_params_folder
from vlm3_jax.hub.keys import hf_keys
from vlm3_jax.hub.new_folder import require_new
from vlm3_jax.models.qwen3_vl.config import Qwen3VLConfig

FLAGS = flags.FLAGS
flags.DEFINE_string("src", None, "Hugging Face folder, hub id, or folder of train or convert.")
flags.DEFINE_string("dst", None, "Folder to make.")
flags.DEFINE_enum("to", None, ["jax", "hf"], "Layout to write.")
flags.DEFINE_enum("dtype", None, ["float32", "bfloat16"], "Type to write; as stored by default.")
flags.DEFINE_float("max_shard_gb", 5.0, "Largest file of weights with --to=hf.", lower_bound=0.0)
flags.mark_flags_as_required(["src", "dst", "to"])


def main() -> None:
    """Reads --src, writes --dst."""
    # The model only passes through: it needs no accelerator, and it may not fit one.
    jax.config.update("jax_platforms", "cpu")
    dst = require_new(FLAGS.dst)
    assets, params = load_params(FLAGS.src, dtype=FLAGS.dtype)
    logging.info("read %s", FLAGS.src)
    if FLAGS.to == "hf":
        save_hf(params, assets, dst, max_shard_bytes=int(FLAGS.max_shard_gb * 10**9))
    else:
        save_params_folder(params, assets, dst)
    leaves = jax.tree.leaves(params)
    summary = {
        "dst": str(dst),
        "to": FLAGS.to,
        "tensors": len(hf_keys(Qwen3VLConfig.from_folder(assets))),
        "parameters": sum(leaf.size for leaf in leaves),
        "bytes": sum(leaf.nbytes for leaf in leaves),
    }
    print(json.dumps(summary))


if __name__ == "__main__":
    cli.run(main)
