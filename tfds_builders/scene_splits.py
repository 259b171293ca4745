"""Divides the scenes that are there by the lists that a dataset publishes of its splits."""

from collections.abc import Callable, Mapping, Sequence

from absl import logging

from tfds_builders.items import Bad, Item
from vlm3_jax.errors import BadInput

SPLITS = "train", "validation", "test"


def split_items(
    scenes: Sequence[str],
    split_of: Mapping[str, str],
    where: str,
    make: Callable[[str], list[Item | Bad]],
) -> dict[str, list[Item | Bad]]:
    """Makes the items of each split that has any.

    Listed scenes that are not there are only told of in the log: most people fetch a part.

    Args:
        scenes: that are there.
        split_of: one of `SPLITS` for each listed scene.
        where: the lists' name in errors.
        make: gives a scene's items.

    Returns:
        For `Builder.items`; scenes that are not listed are bad.

    Raises:
        BadInput: no scene is listed and good.
    """
    items: dict[str, list[Item | Bad]] = {}
    bad: list[Item | Bad] = [
        Bad(scene, f"scene {scene} is not listed in {where}; take it out, or fetch the right list.")
        for scene in scenes
        if scene not in split_of
    ]
    for split in SPLITS:
        mine = [item for s in scenes if split_of.get(s) == split for item in make(s)]
        if any(isinstance(item, Item) for item in mine):
            items[split] = mine
        else:  # Without a good scene there is no split; what was bad is still told.
            bad += mine
    if not items:
        raise BadInput(bad[0].reason if bad else f"no scene of {where} is there; fetch some.")
    if absent := sorted(set(split_of) - set(scenes)):
        logging.warning(
            "%d of the %d scenes of %s are not there, such as %s.",
            *(len(absent), len(split_of), where, absent[0]),
        )
    items[next(iter(items))] += bad
    return items
