"""Writes the Hugging Face folder of an untrained Qwen3-VL of a known size.

    python -m launch.make_model --size=tiny|100m|130m|2b|4b|8b|32b --dst=DIR [--noweights]

A folder without weights is enough to train from random ones (`--config.model.init=random`), and to
compile for hardware that is not at hand (`launch/aot_compile.py`). The tokenizer knows little more
than bytes and the words of the depth task.
"""

import re
import tempfile
from pathlib import Path

from absl import flags

from launch.model_sizes import SIZES, ModelSize
from vlm3_jax import cli
from vlm3_jax.hub.export import save_hf
from vlm3_jax.hub.new_folder import new_folder, require_new
from vlm3_jax.hub.scratch import write_scratch_folder
from vlm3_jax.models.functional import init_params
from vlm3_jax.models.qwen3_vl.config import Qwen3VLConfig
from vlm3_jax.tasks import depth

SIZE = flags.DEFINE_enum("size", None, list(SIZES), "Of the model.", required=True)
DST = flags.DEFINE_string("dst", None, "Folder to write.", required=True)
WEIGHTS = flags.DEFINE_boolean("weights", True, "Whether it holds random float32 weights.")
SEED = flags.DEFINE_integer("seed", 0, "Of the weights.")

_TEMPLATES = (depth.PROMPT, depth.ANSWER, "user\n", "assistant\n")


def main() -> None:
    """Writes the folder that --dst names."""
    require_new(DST.value)
    size = SIZES[SIZE.value]
    if not WEIGHTS.value:
        with new_folder(DST.value) as folder:
            write_assets(folder, size)
        return
    with tempfile.TemporaryDirectory() as assets:
        write_assets(Path(assets), size)
        config = Qwen3VLConfig.from_folder(assets)
        save_hf(init_params(config, SEED.value), assets, DST.value)


def write_assets(folder: Path, size: ModelSize) -> None:
    """Writes all but the weights."""
    phrases = [text for template in _TEMPLATES for text in re.split(r"\{.*?\}", template) if text]
    write_scratch_folder(
        folder,
        size.text,
        size.vision,
        corpus=_TEMPLATES,
        vocab_size=320 if size.short_texts else 2048,
        phrases=phrases if size.short_texts else (),
        tie_word_embeddings=size.tied,
    )


if __name__ == "__main__":
    cli.run(main)
