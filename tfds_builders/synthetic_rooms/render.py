"""Draws a contact sheet of rooms, a row a scene, or measures the renderer's speed.

python -m tfds_builders.synthetic_rooms.render --out=rooms.png [--config=views] [--scenes=4]
python -m tfds_builders.synthetic_rooms.render --benchmark [--config=views] [--scenes=8]
"""

import time
from pathlib import Path

import numpy as np
from absl import flags
from PIL import Image

from tfds_builders.synthetic_rooms.examples import Recipe, render_scene
from tfds_builders.synthetic_rooms.synthetic_rooms_dataset_builder import Builder
from vlm3_jax import cli
from vlm3_jax.errors import BadInput

FLAGS = flags.FLAGS
flags.DEFINE_string("out", None, "PNG file to write the sheet to.")
flags.DEFINE_string("config", "views", "Config of synthetic_rooms whose scenes to draw.")
flags.DEFINE_integer("scenes", 4, "Number of training scenes.", lower_bound=1)
flags.DEFINE_bool("benchmark", False, "Print how many views a second one process renders.")


def contact_sheet(recipe: Recipe, scenes: int) -> np.ndarray:
    """All views of the first training scenes, a row a scene, uint8 [H, W, 3]."""
    rows = []
    for index in range(scenes):
        _, _, views = render_scene(recipe, "train", index)
        rows.append(np.hstack([view.image for view in views]))
    return np.vstack(rows)


def views_per_second(recipe: Recipe, scenes: int) -> float:
    """Speed on one core, by its own time: rooms and their light included, files not."""
    contact_sheet(recipe, scenes)  # Draws every texture once.
    start = time.process_time()
    contact_sheet(recipe, scenes)
    return scenes * recipe.views / (time.process_time() - start)


def main() -> None:
    """Does what the flags ask for."""
    if FLAGS.config not in Builder.builder_configs:
        known = ", ".join(Builder.builder_configs)
        raise BadInput(f"synthetic_rooms has no config {FLAGS.config!r}; choose one of {known}.")
    recipe = Builder.builder_configs[FLAGS.config].recipe
    if not FLAGS.out and not FLAGS.benchmark:
        raise BadInput("nothing to do: give --out=FILE.png or --benchmark.")
    if FLAGS.out:
        _save(contact_sheet(recipe, FLAGS.scenes), Path(FLAGS.out))
        print(FLAGS.out)
    if FLAGS.benchmark:
        speed = views_per_second(recipe, FLAGS.scenes)
        print(f"{speed:.1f} views/s of {recipe.width}x{recipe.height} on one core")


def _save(sheet: np.ndarray, out: Path) -> None:
    if out.suffix.lower() != ".png" or not out.parent.is_dir():
        raise BadInput(f"--out={out} is not a .png file in a folder that exists.")
    Image.fromarray(sheet).save(out)


if __name__ == "__main__":
    cli.run(main)
