"""A scene in the WAI format: scene_meta.json and the files of its frames."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfds_builders import checks
from tfds_builders.pairs import View
from tfds_builders.posed_scenes import posed_depth, without_infinite
from tfds_builders.raw_files import read_mask
from tfds_builders.wai.files import nearest, read_exr
from tfds_builders.wai.recipes import MVSANYWHERE_CONFIDENCE, Recipe
from vlm3_jax.data.records import SCALE_TYPES
from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.camera import Camera

_FAR_PERCENTILE = 95
# Of an NPY file with a short head, which map-anything skips without reading it.
_HEADER = 128


@dataclass(frozen=True)
class Scene:
    """A scene and how its depth maps are read.

    Attributes:
        folder: with scene_meta.json.
        meta: what that holds.
        recipe: of its dataset.
    """

    folder: Path
    meta: dict[str, Any]
    recipe: Recipe

    @property
    def frames(self) -> dict[str, dict[str, Any]]:
        """By name, as scene_meta.json has them: the order of the covisibility matrix."""
        return {frame["frame_name"]: frame for frame in self.meta["frames"]}

    @property
    def good_frames(self) -> list[str]:
        """Names of those that are not marked as bad."""
        return [name for name, frame in self.frames.items() if not frame.get("is_bad")]

    @property
    def scale_type(self) -> str:
        """Unit of its lengths."""
        return self.meta.get("scale_type", self.recipe.scale_type)

    def view(self, frame_name: str) -> View:
        """Reads a frame.

        Raises:
            BadInput: its camera, pose, picture, depth map or a mask cannot be used.
        """
        frame = self.frames[frame_name]
        name = f"{self.folder.name}/{frame_name}"
        camera = self._camera(frame, name)
        image = self._path(frame, frame.get("image") or frame.get("file_path"), name)
        c2w = _matrix(frame.get("transform_matrix"), name)
        posed = posed_depth(self._depth(frame, camera, name), camera, c2w, name)
        return View(frame_name, checks.read_image(image, str(image), camera), posed)

    def covisibility(self) -> np.ndarray | None:
        """The stored scores, float32 [N, N]; None where there are none.

        Raises:
            BadInput: they are not of the scene's frames.
        """
        path = stored_covisibility(self.folder)
        if path is None:
            return None
        count = len(self.frames)
        if path.stem.rpartition("--")[2] != f"{count}x{count}":
            raise BadInput(f"{path} is not of the scene's {count} frames; fetch both anew.")
        if path.stat().st_size != _HEADER + 4 * count**2:
            raise BadInput(f"{path} is not {count}x{count} float32 numbers; fetch it anew.")
        # By its place in the file, not as the format says it: nothing in it is ever unpickled.
        scores = np.fromfile(path, np.float32, offset=_HEADER).reshape(count, count)
        if not (np.isfinite(scores).all() and scores.min() >= 0 and scores.max() <= 1):
            raise BadInput(f"{path} has scores that are no share of an image; fetch it anew.")
        left_out = [bool(frame.get("is_bad")) for frame in self.frames.values()]
        scores[left_out] = scores[:, left_out] = 0
        return scores

    def _camera(self, frame: dict[str, Any], name: str) -> Camera:
        values = self.meta | frame
        if values.get("camera_model") != "PINHOLE":
            raise BadInput(
                f"{name}: its camera model is {values.get('camera_model')}; undistort the scene to"
                " PINHOLE with map-anything's wai_processing first."
            )
        try:
            numbers = [float(values[key]) for key in ("fl_x", "fl_y", "cx", "cy", "w", "h")]
        except (KeyError, TypeError, ValueError) as error:
            raise BadInput(
                f"{name}: fl_x, fl_y, cx, cy, w, h are not all numbers; convert the scene anew."
            ) from error
        return Camera.from_array(numbers, name)

    def _depth(self, frame: dict[str, Any], camera: Camera, name: str) -> np.ndarray:
        recipe, shape = self.recipe, (camera.height, camera.width)
        modality = next((m for m in recipe.depth if self._has(frame, m)), recipe.depth[0])
        depth = without_infinite(read_exr(self._file(frame, modality, name)))
        if recipe.confidence:  # MVSAnywhere's maps have a size of their own.
            confidence = read_exr(self._file(frame, recipe.confidence, name))
            sure = nearest(confidence, shape) > MVSANYWHERE_CONFIDENCE
            depth = np.where(sure, nearest(depth, shape), np.float32(0))
        checks.check_depth_map(depth, camera, f"{name}: depth map")
        for modality in recipe.masks:
            mask = read_mask(self._file(frame, modality, name))
            depth = np.where(nearest(mask, shape), depth, np.float32(0))
        for modality in recipe.skies:
            sky = read_mask(self._file(frame, modality, name))
            depth = np.where(nearest(sky, shape), np.float32(0), depth)
        if recipe.drop_far and depth.any():
            depth[depth > np.percentile(depth[depth > 0], _FAR_PERCENTILE)] = 0
        return depth

    def _key(self, modality: str) -> str | None:
        """What a frame calls a modality: `frame_modalities` may nest."""
        entry = self.meta.get("frame_modalities", {})
        for part in modality.split("/"):
            entry = entry.get(part, {}) if isinstance(entry, dict) else {}
        return entry.get("frame_key") if isinstance(entry, dict) else None

    def _has(self, frame: dict[str, Any], modality: str) -> bool:
        return (self._key(modality) or modality) in frame

    def _file(self, frame: dict[str, Any], modality: str, name: str) -> Path:
        if not self._has(frame, modality):
            raise BadInput(
                f"{name} has no {modality} in scene_meta.json; run the stage of map-anything's"
                " wai_processing that makes it."
            )
        return self._path(frame, frame[self._key(modality) or modality], name)

    def _path(self, frame: dict[str, Any], path: Any, name: str) -> Path:
        return checks.inside(self.folder, path, f"{name} in scene_meta.json")


def read_scene(folder: Path, recipe: Recipe) -> Scene:
    """Reads scene_meta.json.

    Raises:
        BadInput: it is not what the WAI format says.
    """
    path = folder / "scene_meta.json"
    try:
        meta = json.loads(path.read_text())
        frame_names = [frame["frame_name"] for frame in meta["frames"]]
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{path} is no WAI scene ({error!r}); convert it anew.") from error
    checks.not_empty(frame_names, f"the frames of {folder}")
    if len(set(map(str, frame_names))) < len(frame_names):
        raise BadInput(f"{path} has two frames of one name; convert it anew.")
    if meta.get("camera_convention", "opencv") != "opencv":
        raise BadInput(f"{path}: camera_convention is not opencv; convert it anew.")
    scene = Scene(folder, meta, recipe)
    if scene.scale_type not in SCALE_TYPES:
        raise BadInput(f"{path}: scale_type is {scene.scale_type!r}; give metric or colmap.")
    return scene


def stored_covisibility(folder: Path) -> Path | None:
    """The file with the scores of all pairs of frames, `NAME--NxN.npy`."""
    return min(folder.glob("covisibility/v0/*--*.npy"), default=None)


def _matrix(values: Any, name: str) -> np.ndarray:
    try:
        return np.array(values, np.float64)
    except (TypeError, ValueError) as error:
        raise BadInput(f"{name}: its transform_matrix is no matrix; convert it anew.") from error
