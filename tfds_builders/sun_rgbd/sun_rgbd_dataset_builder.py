"""SUN RGB-D: indoor images of four depth cameras, without those of NYUv2."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import tensorflow_datasets as tfds

from tfds_builders import base, checks, schema
from tfds_builders.items import Item
from tfds_builders.sun_rgbd.frames import Configs, frame_folders, read_frame

NAME = "sun_rgbd"
SENSORS = "kv1", "kv2", "realsense", "xtion"


class Builder(Configs, base.Builder):
    """Builder of sun_rgbd."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar = {"1.0.0": "First release."}
    HOMEPAGE = "https://rgbd.cs.princeton.edu/"
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Give the folder SUNRGBD of SUNRGBD.zip, with kv1, kv2, realsense and xtion."
    )

    def features(self) -> dict[str, Any]:
        """Depth records."""
        return schema.depth_features()

    def items(self, raw: Path) -> dict[str, list[Item]]:
        """One a frame."""
        checks.needed(raw, *SENSORS, builder=NAME)
        places = [
            folder.relative_to(raw) for sensor in SENSORS for folder in frame_folders(raw / sensor)
        ]
        if self.builder_config.name == "release_faithful":
            places = [place for place in places if len(place.parts) == 3]
        return {"test": [Item(str(place)) for place in places if "NYUdata" not in place.parts]}

    def examples(self, raw: Path, item: Item) -> Iterator[dict[str, Any]]:
        """The frame with points of its filled depth map."""
        scene, _, frame = item.key.rpartition("/")
        names = {"dataset": NAME, "scene": scene, "frame": frame}
        config = self.builder_config.name
        yield read_frame(raw / item.key, item.key, "depth_bfx", config) | names
