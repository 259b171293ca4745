"""DDAD: six cameras around a car and a long-range lidar, in Toyota's DGP format."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from tfds_builders import base, checks, schema
from tfds_builders.ddad import dgp
from tfds_builders.items import Bad, Item, attempt, reason
from tfds_builders.lidar import Labelling, LidarConfig, point_labels, transform
from vlm3_jax.errors import BadInput

CAMERAS = tuple(f"CAMERA_{number:02d}" for number in (1, 5, 6, 7, 8, 9))
LIDAR = "LIDAR"


class Builder(base.Builder):
    """Builder of ddad."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar = {"1.0.0": "First release."}
    HOMEPAGE = "https://github.com/TRI-ML/DDAD"
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Give the folder ddad_train_val of DDAD.tar, which holds ddad.json and the scenes' folders."
    )
    BUILDER_CONFIGS: ClassVar = [
        LidarConfig(
            name="release_faithful",
            description="Whole pixels, the last point on each, as DepthLM curates them.",
            labelling=Labelling("z", pixels=np.trunc, overlap="last"),
        ),
        LidarConfig(
            name="corrected",
            description="Exact positions, the nearest point on each pixel.",
            labelling=Labelling("z"),
        ),
    ]

    def features(self) -> dict[str, Any]:
        """Depth records."""
        return schema.depth_features()

    def items(self, raw: Path) -> dict[str, list[Item | Bad]]:
        """One a sample: six images and a sweep."""
        files = dgp.scene_files(checks.needed(raw, "ddad.json", builder="ddad"))
        return {
            split: [x for file in of for x in _samples(raw, file)] for split, of in files.items()
        }

    def examples(self, raw: Path, item: Item) -> Iterator[dict[str, Any] | Bad]:
        """The images of the sample."""
        scene, sample = item.data
        folder = raw / scene
        cloud = dgp.read_cloud(checks.inside(folder, sample.cloud.file, item.key))
        world = transform(sample.cloud.sensor_to_world(item.key), cloud)
        for image in sample.images:
            frame = f"{image.sensor}_{Path(image.file).stem}"
            key = f"{scene}/{frame}"
            yield attempt(key, self._example, folder, sample, image, world, key)

    def _example(self, folder: Path, sample: dgp.Sample, image: dgp.Datum, world, key: str) -> dict:
        camera = dgp.read_camera(folder / "calibration" / f"{sample.calibration}.json", image)
        c2w = image.sensor_to_world(key)
        points = transform(np.linalg.inv(c2w), world)
        scene, frame = key.split("/")
        path = checks.inside(folder, image.file, key)
        return point_labels(points, camera, self.builder_config.labelling, key) | {
            "image": checks.read_image(path, f"{key}: {path}", camera),
            "intrinsics": camera.to_array(),
            "c2w": c2w,
            "scale_type": "metric",
            "dataset": "ddad",
            "scene": scene,
            "frame": frame,
        }


def _samples(raw: Path, file: str) -> Iterator[Item | Bad]:
    scene = Path(file).parent.as_posix()
    try:
        for sample in dgp.samples(checks.inside(raw, file, "ddad.json"), CAMERAS, LIDAR):
            yield Item(f"{scene}/{sample.index:06d}", (scene, sample), len(CAMERAS))
    except (BadInput, OSError) as error:
        yield Bad(scene, reason(error))
