"""Wide-baseline pairs of TartanAir v2's environments, as UFM chose them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import tensorflow_datasets as tfds

from tfds_builders import base, checks, schema
from tfds_builders.items import Bad, Item
from tfds_builders.matrices import camera_of_matrix
from tfds_builders.pairs import Choice, View, scene_pairs
from tfds_builders.posed_scenes import png, posed_depth, seeded
from tfds_builders.ta_wb.pairs_file import (
    read_cameras,
    read_environments,
    read_index,
    read_views,
)
from tfds_builders.tartanair import geometric, without_sky
from tfds_builders.well_formed import well_formed
from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.covisibility import covisibility

_SPLITS = {"train": "train", "val": "validation", "test": "test"}
_CHOICES = {"train": Choice(), "val": Choice(threshold=0.0), "test": Choice(threshold=0.0)}


class Builder(base.Builder):
    """Builder of ta_wb."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar = {"1.0.0": "First release."}
    HOMEPAGE = "https://uniflowmatch.github.io"
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Give a folder with train/, val/ or test/ (*.json, *.h5) and train_camera_data/ and so on."
    )

    def features(self) -> dict[str, Any]:
        """Pair records."""
        return schema.pair_features()

    def items(self, raw: Path) -> dict[str, list[Item]]:
        """One a pair."""
        folders = [name for name in _SPLITS if (raw / name).is_dir()]
        if not folders:
            checks.needed(raw, "train", builder="ta_wb")
        splits = {}
        for name in folders:
            checks.needed(
                raw,
                *(f"{name}/*.json", f"{name}/*.h5", f"{name}_camera_data/metadata.json"),
                *(f"{name}_camera_data/cam{side}_extrinsics.npz" for side in "12"),
                *(f"{name}_camera_data/cam{side}_intrinsics.npz" for side in "12"),
                builder="ta_wb",
            )
            environments = read_environments(raw / f"{name}_camera_data" / "metadata.json")
            places = read_index(raw / name)
            if places and not 0 <= min(places) <= max(places) < len(environments):
                raise BadInput(
                    f"{raw / name} has pairs that metadata.json does not tell of; fetch both anew."
                )
            splits[_SPLITS[name]] = [
                Item(f"{name}/{pair:08d}", (name, pair, place, environments[pair]))
                for pair, place in sorted(places.items())
            ]
        return splits

    def examples(self, raw: Path, item: Item) -> Iterator[dict[str, Any] | Bad]:
        """The pair, if its views share enough."""
        split, pair, (file, place), environments = item.data
        cameras = read_cameras(raw / f"{split}_camera_data")
        path = raw / split / file
        views = []
        for side, (image, depth) in enumerate(read_views(path, place)):
            name = f"{item.key} view {side + 1}"
            height, width = image.shape[:2]
            with well_formed(name):
                k = cameras[f"cam{side + 1}_intrinsics"][pair]
                c2w = cameras[f"cam{side + 1}_extrinsics"][pair]
            camera = camera_of_matrix(k, width, height, f"{name}: intrinsics")
            depth = without_sky(depth, environments[side])
            posed = posed_depth(depth, camera, c2w, name)
            views.append(View(f"{pair:08d}_{side}", png(image), posed))
        names = {"dataset": "ta_wb", "scene": geometric(environments[0]), "scale_type": "metric"}
        scores = covisibility([view.posed for view in views])
        yield from scene_pairs(scores, views.__getitem__, _CHOICES[split], seeded(item.key), names)
