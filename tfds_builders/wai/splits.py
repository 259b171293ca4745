"""Which split a scene in the WAI format belongs to."""

import hashlib
from pathlib import Path

import numpy as np
from absl import logging

from tfds_builders.wai.recipes import Recipe
from vlm3_jax.errors import BadInput

_SPLITS = {"train": "train", "val": "validation", "test": "test"}


def assign(raw: Path, dataset: str, recipe: Recipe, scenes: list[str]) -> dict[str, list[str]]:
    """Divides the scenes among train, validation and test.

    map-anything's lists decide where they are there; without them the scenes that the recipe names.

    Args:
        raw: folder of the dataset.
        dataset: its name in WAI.
        recipe: of it.
        scenes: that are there.

    Raises:
        BadInput: a list is missing that cannot be done without, or cannot be read.
    """
    lists = {name: _read(raw / name / f"{dataset}_scene_list_{name}") for name in _SPLITS}
    if recipe.needs_lists and lists["val"] is None:
        path = raw / "val" / f"{dataset}_scene_list_val.npy"
        raise BadInput(
            f"{path} is missing; the section 'Manual download' of tfds_builders/wai/README.md tells"
            " where to get it."
        )
    divided: dict[str, list[str]] = {}
    unlisted = 0
    for scene in scenes:
        listed = next((name for name, names in lists.items() if names and scene in names), None)
        if listed is None and lists["train"] is not None:
            unlisted += 1  # The list names what is for training: this scene is for nothing.
            continue
        split = _SPLITS[listed] if listed else _by_recipe(recipe, scene)
        divided.setdefault(split, []).append(scene)
    if unlisted:
        logging.warning("%d scenes of %s are in none of its lists: left out.", unlisted, raw)
    return divided


def _by_recipe(recipe: Recipe, scene: str) -> str:
    if recipe.only_test or scene in recipe.test:
        return "test"
    if scene in recipe.validation:
        return "validation"
    number = int.from_bytes(hashlib.sha256(scene.encode()).digest()[:8], "big")
    is_held_out = recipe.held_out and number % recipe.held_out == 0
    return "validation" if is_held_out else "train"


def _read(path: Path) -> frozenset[str] | None:
    """Names from a text file, one a line, or from an NPY file of text; never a pickle."""
    text, array = path.with_suffix(".txt"), path.with_suffix(".npy")
    if text.exists():
        return frozenset(text.read_text().split())
    if not array.exists():
        return None
    try:
        return frozenset(map(str, np.load(array, allow_pickle=False)))
    except (ValueError, EOFError) as error:
        raise BadInput(
            f"{array} is not an array of text but may be a pickle, which is never loaded; write its"
            f" names to {text}, one a line."
        ) from error
