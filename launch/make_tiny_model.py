"""Writes a tiny Qwen3-VL with random weights: small enough to learn depth on two CPU cores.

    python -m launch.make_tiny_model --dst=DIR

The fixed texts of the depth task are one token each, so a question takes 24 tokens instead of 150.
"""

import re
import tempfile

from absl import flags

from vlm3_jax import cli
from vlm3_jax.hub.export import save_hf
from vlm3_jax.hub.scratch import write_scratch_folder
from vlm3_jax.models.functional import init_params
from vlm3_jax.models.qwen3_vl.config import Qwen3VLConfig
from vlm3_jax.tasks import depth

DST = flags.DEFINE_string("dst", None, "Folder to write.", required=True)
SEED = flags.DEFINE_integer("seed", 0, "Of the weights.")

TEXT = {
    "hidden_size": 128,
    "intermediate_size": 384,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "max_position_embeddings": 4096,
    "rope_parameters": {
        "rope_type": "default",
        "rope_theta": 10000.0,
        "mrope_section": [6, 5, 5],
        "mrope_interleaved": True,
    },
}
VISION = {
    "depth": 2,
    "hidden_size": 96,
    "intermediate_size": 288,
    "num_heads": 4,
    "patch_size": 16,
    "out_hidden_size": 128,
    "num_position_embeddings": 64,
    "deepstack_visual_indexes": [0, 1],
}


def main() -> None:
    """Writes the folder that --dst names."""
    templates = (depth.PROMPT, depth.ANSWER, "user\n", "assistant\n")
    phrases = [text for template in templates for text in re.split(r"\{.*?\}", template) if text]
    with tempfile.TemporaryDirectory() as assets:
        write_scratch_folder(
            assets, TEXT, VISION, corpus=templates, vocab_size=320, phrases=phrases
        )
        config = Qwen3VLConfig.from_folder(assets)
        save_hf(init_params(config, SEED.value), assets, DST.value)


if __name__ == "__main__":
    cli.run(main)
