"""Writes the Hugging Face folder of an untrained Qwen3-VL of a known size.

    python -m launch.make_model --size=tiny|100m|130m|2b|4b|8b|32b --dst=DIR [--noweights] \
        [--tasks=depth,correspondence,pose,objects]

A folder without weights is enough to train from random ones (`--config.model.init=random`), and to
compile for hardware that is not at hand (`launch/aot_compile.py`). The tokenizer knows little more
than bytes and the fixed texts of --tasks, which are one token each in the tiny size: a question
about a point then takes 24 tokens instead of about 120.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from launch.model_sizes import SIZES, ModelSize
from launch.task_texts import TEXTS, phrases
from vlm3_jax import cli
from vlm3_jax.errors import BadInput
from vlm3_jax.hub.export import save_hf
from vlm3_jax.hub.new_folder import new_folder, require_new
from vlm3_jax.hub.scratch import write_scratch_folder
from vlm3_jax.models.functional import init_params
from vlm3_jax.models.qwen3_vl.config import Qwen3VLConfig

SIZE = flags.DEFINE_enum("size", None, list(SIZES), "Of the model.", required=True)
DST = flags.DEFINE_string("dst", None, "Folder to write.", required=True)
WEIGHTS = flags.DEFINE_boolean("weights", True, "Whether it holds random float32 weights.")
SEED = flags.DEFINE_integer("seed", 0, "Of the weights.")

TASKS = flags.DEFINE_list("tasks", ["depth"], f"Whose texts are known: {', '.join(TEXTS)}.")

_ROLES = ("user\n", "assistant\n")


def main() -> None:
    """Writes the folder that --dst names."""
    for task in TASKS.value:
        if task not in TEXTS:
            raise BadInput(f"--tasks names {task!r}: choose of {', '.join(TEXTS)}.")
    require_new(DST.value)
    size = SIZES[SIZE.value]
    if not WEIGHTS.value:
        with new_folder(DST.value) as folder:
            write_assets(folder, size, TASKS.value)
        return
    with tempfile.TemporaryDirectory() as assets:
        write_assets(Path(assets), size, TASKS.value)
        config = Qwen3VLConfig.from_folder(assets)
        save_hf(init_params(config, SEED.value), assets, DST.value)


def write_assets(folder: Path, size: ModelSize, tasks: Sequence[str] = ("depth",)) -> None:
    """Writes all but the weights."""
    texts = [*(text for task in tasks for text in TEXTS[task]), *_ROLES]
    write_scratch_folder(
        folder,
        size.text,
        size.vision,
        corpus=texts,
        vocab_size=320 if size.short_texts else 2048,
        phrases=phrases(texts) if size.short_texts else (),
        tie_word_embeddings=size.tied,
    )


if __name__ == "__main__":
    cli.run(main)
