"""ScanNet++, the DSLR's photographs: pinhole views with depth rendered from the scan's mesh."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from tfds_builders import base, checks, schema
from tfds_builders.items import Bad, Item
from tfds_builders.labels import POINTS, draw_pixels
from tfds_builders.raw_files import read_mask, read_uint16
from tfds_builders.rectify import jpeg, sample_image, source_map
from tfds_builders.scannetpp_dslr.transforms import Photograph, photographs
from tfds_builders.scannetpp_scenes import splits
from vlm3_jax.data.images import decode
from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.camera import Camera, project
from vlm3_jax.geometry.intrinsics import centred
from vlm3_jax.geometry.lens import FisheyeLens

_MILLIMETRE = 0.001
# Of the photograph's pixels; at least a quarter of them are in the pinhole view.
_CANDIDATES = 20 * POINTS
_FILES = ("resized_images", "resized_anon_masks", "render_depth", "nerfstudio/transforms.json")


class Builder(base.Builder):
    """Builder of scannetpp_dslr."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar = {"1.0.0": "First release."}
    HOMEPAGE = "https://scannetpp.mlsg.cit.tum.de/scannetpp"
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        f"Give the data root of ScanNet++ with data/SCENE/dslr/{{{','.join(_FILES)}}}, the depth"
        " rendered by the toolkit."
    )

    def features(self) -> dict[str, Any]:
        """Depth records."""
        return schema.depth_features()

    def items(self, raw: Path) -> dict[str, list[Item | Bad]]:
        """One a photograph."""
        checks.needed(raw, "data/*/dslr", builder="scannetpp_dslr")
        scenes = [folder.parent.name for folder in raw.glob("data/*/dslr")]
        return {
            split: [item for scene in of for item in _photographs(raw, scene)]
            for split, of in splits(scenes).items()
        }

    def examples(self, raw: Path, item: Item) -> Iterator[dict[str, Any]]:
        """The photograph as a pinhole view."""
        scene, photograph = item.data
        folder, lens = raw / "data" / scene / "dslr", photograph.lens
        frame = Path(photograph.file).stem
        path = checks.inside(folder / "resized_images", photograph.file, item.key)
        name = f"{item.key}: {path}"
        pixels = decode(checks.read_image(path, name, lens.camera), name)
        masks = folder / "resized_anon_masks"
        mask = read_mask(checks.inside(masks, photograph.mask, item.key))
        depth = read_uint16(folder / "render_depth" / f"{frame}.png") * _MILLIMETRE
        checks.check_depth_map(depth, lens.camera, f"{item.key}: its depth map")
        if mask.shape != depth.shape:
            raise BadInput(f"{item.key}: its mask is {mask.shape[::-1]}; fetch it anew.")
        pinhole = centred(lens.camera.fx, lens.camera.fy, lens.camera.width, lens.camera.height)
        points, z = _labels(depth, mask, lens, pinhole, item.key)
        yield {
            "image": jpeg(sample_image(pixels, source_map(lens.bend, pinhole))),
            "intrinsics": pinhole.to_array(),
            "c2w": photograph.c2w(f"{item.key}: its transform_matrix"),
            "points_xy": points.astype(np.float32),
            "depth_m": z.astype(np.float32),
            "label_kind": "z",
            "scale_type": "metric",
            "dataset": "scannetpp_dslr",
            "scene": scene,
            "frame": frame,
        }


def _photographs(raw: Path, scene: str) -> Iterator[Item | Bad]:
    folder = raw / "data" / scene / "dslr"
    if missing := [file for file in _FILES if not (folder / file).exists()]:
        yield Bad(scene, f"{folder / missing[0]} is missing; fetch or render it.")
        return
    try:
        found: list[Photograph] = list(photographs(folder / "nerfstudio" / "transforms.json"))
        checks.not_empty(found, f"the frames of {folder}/nerfstudio/transforms.json")
    except BadInput as error:
        yield Bad(scene, str(error))
        return
    for photograph in found:
        yield Item(f"{scene}/{Path(photograph.file).stem}", (scene, photograph))


def _labels(
    depth: np.ndarray, mask: np.ndarray, lens: FisheyeLens, pinhole: Camera, key: str
) -> tuple[np.ndarray, np.ndarray]:
    """Positions in the pinhole view, and depths, of depth pixels of the photograph."""
    chosen = draw_pixels((depth > 0) & mask, key, count=_CANDIDATES)
    rays = lens.straighten(chosen)
    points, _ = project(pinhole, np.concatenate([rays, np.ones((len(rays), 1))], axis=-1))
    inside = ((points >= 0) & (points <= [pinhole.width - 1, pinhole.height - 1])).all(-1)
    points, chosen = points[inside][:POINTS], chosen[inside][:POINTS]
    if not len(points):
        raise BadInput(f"{key} has no depth in its pinhole view; leave it out.")
    return points, depth[chosen[:, 1], chosen[:, 0]]
