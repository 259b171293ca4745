"""Comparisons of what is stored twice: labels with depth maps, poses and pictures."""

import contextlib
from typing import Any

import numpy as np

from tfds_builders.inspection.tally import Tally
from vlm3_jax.data.depth_maps import decode_depth
from vlm3_jax.data.images import decode
from vlm3_jax.data.records import DepthRecord, PairRecord, Record
from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.camera import euclid_from_z
from vlm3_jax.geometry.correspondence import correspond, reproject
from vlm3_jax.geometry.covisibility import PosedDepth, covisibility

# Of matches that are derived from depth maps: noisy maps are compared too.
_ABSOLUTE, _RELATIVE = 0.0, 0.05
_DERIVED = 200
_LEAST_POINTS = 8
_LEAST_SHARE = 0.3
"""Of a view's points that must land in the next view, for the two to be compared."""
_FOLLOWING = 8
"""Records after a view among which one that sees the same is looked for."""
_FARTHEST_PX = 1e4
_MIRRORED = {"upside down": (-1, 1), "with left and right swapped": (1, -1)}
_WAYS = {"as they are": (1, 1)} | _MIRRORED
"""Steps along the rows and columns of an image."""
_CELL = 5
"""Pixels a side of what is compared of a picture at a point."""


class Measures:
    """Figures of a few records, whose images and depth maps are decoded."""

    def __init__(self):
        self._records = self._failed = 0
        self._first_failure = ""
        self._coverage = Tally(0, 1, log=False)
        self._label_error = Tally(1e-6, 1e6)
        self._reprojection, self._depth_error = Tally(), Tally(1e-6, 1e6)
        self._likeness = {way: Tally(-1, 1, log=False) for way in _WAYS}
        self._covisibility_error = Tally(0, 1, log=False)
        self._pending: DepthRecord | None = None
        self._left = 0

    def follow(self, record: Record) -> None:
        """Compares a view with the one that was measured last, if it sees the same."""
        one = self._pending
        if one is None or not isinstance(record, DepthRecord):
            return
        self._left -= 1
        if _scene(one) != _scene(record) or record.c2w is None or self._left < 0:
            self._pending = None
            return
        landed, _ = reproject(
            one.points_xy, one.z_m, one.camera, record.camera, one.c2w, record.c2w
        )
        last = record.camera.width - 1, record.camera.height - 1
        seen = ((landed >= 0) & (landed <= last)).all(axis=1)
        if seen.sum() < max(_LEAST_POINTS, _LEAST_SHARE * len(seen)):
            return
        self._pending = None
        with contextlib.suppress(BadInput):  # Counted where such a view is measured itself.
            images = [decode(view.image, view.key) for view in (one, record)]
            self._compare(*images, np.hstack([one.points_xy, landed])[seen])

    def add(self, features: dict[str, Any], record: Record) -> None:
        """Measures a record; what does not decode is counted."""
        self._records += 1
        try:
            if isinstance(record, PairRecord):
                self._pair(record)
            elif isinstance(record, DepthRecord):
                self._view(record, view_depth(features))
            else:
                decode(record.image, record.key)
        except BadInput as error:
            self._failed += 1
            self._first_failure = self._first_failure or f"{record.key}: {error}"

    def _view(self, record: DepthRecord, depth: np.ndarray | None) -> None:
        decode(record.image, record.key)
        if record.c2w is not None and self._pending is None:
            self._pending, self._left = record, _FOLLOWING
        if depth is None:
            return
        self._coverage.add(np.mean(depth > 0))
        there = _at(depth, record.points_xy)
        if record.label_kind == "euclid":
            there = euclid_from_z(record.camera, record.points_xy, there)
        known = there > 0
        self._label_error.add(np.abs(record.depth_m - there)[known] / there[known])

    def _pair(self, record: PairRecord) -> None:
        images = [decode(data, record.key) for data in record.images]
        depths = [record.depth(view) for view in (0, 1)]
        for depth in depths:
            if depth is not None:
                self._coverage.add(np.mean(depth > 0))
        if depths[0] is not None:
            self._reprojection.add(np.minimum(reprojection_error(record), _FARTHEST_PX))
        if depths[0] is not None and depths[1] is not None:
            self._covisibility_error.add(_covisibility_error(record, depths))
        corr = matches(record)
        if len(corr) >= _LEAST_POINTS:
            self._compare(*images, corr)

    def _compare(self, image_1: np.ndarray, image_2: np.ndarray, corr: np.ndarray) -> None:
        """Compares pictures at corresponding points, as they are and mirrored."""
        for way, (upwards, across) in _WAYS.items():
            mirrored = [image[::upwards, ::across] for image in (image_1, image_2)]
            self._likeness[way].add(_likeness(*mirrored, corr))

    def result(self) -> dict[str, Any]:
        """Figures for JSON."""
        return {
            "records": self._records,
            "failed": self._failed,
            "first_failure": self._first_failure,
            "depth_map_coverage": self._coverage.to_dict(),
            "label_differs_from_depth_map": self._label_error.to_dict(),
            "reprojection_error_pixels": self._reprojection.to_dict(),
            "covisibility_differs_from_depth_maps": self._covisibility_error.to_dict(),
            "likeness_of_pictures": self._likeness["as they are"].to_dict(),
            "likeness_of_mirrored_pictures": {
                way: tally.to_dict() for way, tally in self._likeness.items() if way in _MIRRORED
            },
        }


def _scene(record: Record) -> str:
    return record.key.rpartition("/")[0]


def view_depth(features: dict[str, Any]) -> np.ndarray | None:
    """The depth map that a builder stored beside a single view, float32 [H, W], if it did."""
    # Sets of before the schema have maps of other kinds.
    if "depth_scale" not in features or not features["depth_map"]:
        return None
    return decode_depth(features["depth_map"], float(features["depth_scale"]))


def reprojection_error(record: PairRecord) -> np.ndarray:
    """How far correspondences are from where depth map, cameras and poses put them, pixels [M].

    Of those that have a depth; infinite where the point would be behind the second camera.
    """
    depth = record.depth(0)
    if depth is None or not len(record.corr):
        return np.zeros(0)
    z = _at(depth, record.corr[:, :2])
    corr, z = record.corr[z > 0], z[z > 0]
    landed, _ = reproject(corr[:, :2], z, *record.cameras, *record.c2w)
    return np.nan_to_num(np.linalg.norm(landed - corr[:, 2:], axis=1), nan=np.inf)


def matches(record: PairRecord) -> np.ndarray:
    """The correspondences of a pair, or some that its depth maps give, float32 [M, 4]."""
    depths = [record.depth(view) for view in (0, 1)]
    if len(record.corr) or depths[0] is None or depths[1] is None:
        return record.corr
    rows, columns = np.nonzero(depths[0] > 0)
    chosen = np.random.default_rng(0).permutation(len(rows))[: 10 * _DERIVED]
    rows, columns = rows[chosen], columns[chosen]
    xy, z = np.stack([columns, rows], -1), depths[0][rows, columns]
    xy_2, seen = correspond(xy, z, *record.cameras, *record.c2w, depths[1], _ABSOLUTE, _RELATIVE)
    return np.hstack([xy, xy_2])[seen][:_DERIVED].astype(np.float32)


def _at(depth: np.ndarray, xy: np.ndarray) -> np.ndarray:
    """Depths at the pixels [N, 2] nearest to points, float64 [N]."""
    last = np.array(depth.shape[::-1]) - 1
    column, row = np.clip(np.rint(xy), 0, last).astype(np.int64).T
    return depth[row, column].astype(np.float64)


def _covisibility_error(record: PairRecord, depths: list[np.ndarray]) -> np.ndarray:
    views = [
        PosedDepth(depth, camera, c2w)
        for depth, camera, c2w in zip(depths, record.cameras, record.c2w, strict=True)
    ]
    scores = covisibility(views)
    return np.abs(np.array([scores[0, 1], scores[1, 0]]) - record.covisibility)


def _likeness(image_1: np.ndarray, image_2: np.ndarray, corr: np.ndarray) -> np.ndarray:
    """Correlation of grey levels at corresponding points, -1 to 1; empty for plain pictures."""
    levels = [_grey(image_1, corr[:, :2]), _grey(image_2, corr[:, 2:])]
    if min(level.std() for level in levels) < 1:
        return np.zeros(0)
    return np.corrcoef(*levels)[:1, 1]


def _grey(image: np.ndarray, xy: np.ndarray) -> np.ndarray:
    """Mean grey level around points [N, 2]."""
    around = np.arange(_CELL) - _CELL // 2
    column, row = np.rint(xy).astype(np.int64).T
    rows = np.clip(row[:, None] + around, 0, image.shape[0] - 1)
    columns = np.clip(column[:, None] + around, 0, image.shape[1] - 1)
    return image[rows[:, :, None], columns[:, None, :]].mean(axis=(1, 2, 3))
