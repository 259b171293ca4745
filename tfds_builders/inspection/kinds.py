"""What is counted of each kind of record."""

from collections import Counter
from typing import Any

import numpy as np

from tfds_builders.inspection.tally import Tally
from vlm3_jax.data.records import DepthRecord, PairRecord, RegionRecord
from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.camera import Camera
from vlm3_jax.geometry.pose import relative_pose, rotation_angle_degrees
from vlm3_jax.tasks.objects import from_record

FAR_M = 200.0
"""Few sensors measure farther."""
_SMALL_PX = 4


class DepthStatistics:
    """Of views with the depth of some of their pixels."""

    def __init__(self):
        self._points, self._depth = Tally(whole=True), Tally()
        self._kinds: Counter[str] = Counter()
        self._at_largest, self._far, self._without_pose = 0, 0, 0
        self._reach = np.zeros(2)

    def add(self, record: DepthRecord) -> None:
        """Counts a record."""
        depth = record.depth_m
        self._points.add(len(depth))
        self._kinds[record.label_kind] += 1
        self._without_pose += record.c2w is None
        if depth.max() > self._depth.largest:
            self._at_largest = 0
        self._depth.add(depth)
        self._at_largest += int(np.count_nonzero(depth == self._depth.largest))
        self._far += int(np.count_nonzero(depth > FAR_M))
        size = record.camera.width, record.camera.height
        self._reach = np.maximum(self._reach, (record.points_xy.max(axis=0) + 1) / size)

    def result(self) -> dict[str, Any]:
        """Figures for JSON."""
        count = max(self._depth.count, 1)
        value, share = self._depth.densest()
        return {
            "label_kinds": dict(self._kinds),
            "without_pose": self._without_pose,
            "points_a_view": self._points.to_dict(),
            "depth": self._depth.to_dict(),
            "beyond_200": self._far / count,
            "at_the_largest": self._at_largest / count,
            "densest": {"depth": value, "share": share},
            "reach": dict(zip(("x", "y"), np.minimum(self._reach, 1).tolist(), strict=True)),
        }


class PairStatistics:
    """Of pairs of views."""

    def __init__(self):
        self._matches, self._baseline = Tally(whole=True), Tally()
        self._angle = Tally(0, 180, log=False)
        self._raw = [Tally(0, 1, log=False) for _ in range(2)]
        self._normalised = [Tally(0, 1, log=False) for _ in range(2)]
        self._without_maps = self._unmoved = 0

    def add(self, record: PairRecord) -> None:
        """Counts a record."""
        rotation, moved = relative_pose(*record.c2w)
        baseline, angle = float(np.linalg.norm(moved)), rotation_angle_degrees(rotation)
        self._baseline.add(baseline)
        self._angle.add(angle)
        self._unmoved += np.array_equal(*record.c2w)
        self._matches.add(len(record.corr))
        for view in (0, 1):
            self._raw[view].add(record.covisibility[view])
            self._normalised[view].add(record.covisibility_normalised[view])
        self._without_maps += not (record.has_depth(0) and record.has_depth(1))

    def result(self) -> dict[str, Any]:
        """Figures for JSON."""
        return {
            "correspondences": self._matches.to_dict(),
            "covisibility_1_in_2": self._raw[0].to_dict(),
            "covisibility_2_in_1": self._raw[1].to_dict(),
            "covisibility_normalised_1": self._normalised[0].to_dict(),
            "covisibility_normalised_2": self._normalised[1].to_dict(),
            "baseline": self._baseline.to_dict(),
            "rotation_degrees": self._angle.to_dict(),
            "same_pose": self._unmoved,
            "without_both_depth_maps": self._without_maps,
        }


class RegionStatistics:
    """Of questions about regions of an image."""

    def __init__(self):
        self._boxes, self._questions = Tally(whole=True), Tally(whole=True)
        self._area = Tally(1e-7, 1)
        self._categories: Counter[str] = Counter()
        self._types: Counter[str] = Counter()
        self._unread: Counter[str] = Counter()
        self._outside = self._small = self._refused = 0
        self._first_refused = ""
        self._reach = np.zeros(2)

    def add(self, record: RegionRecord, size: tuple[int, int]) -> None:
        """Counts a record.

        Args:
            record: as it was read.
            size: width and height of its image.
        """
        boxes = np.asarray(record.boxes_xyxy, np.float64)
        self._boxes.add(len(boxes))
        self._questions.add(len(record.questions))
        self._categories.update(record.categories)
        self._types.update(record.qa_types)
        sides = boxes[:, 2:] - boxes[:, :2]
        inside = (boxes[:, :2] >= 0).all(1) & (boxes[:, 2:] <= size).all(1) & (sides > 0).all(1)
        self._outside += int((~inside).sum())
        self._small += int((sides[inside] < _SMALL_PX).any(axis=1).sum())
        self._area.add(sides[inside].prod(axis=1) / (size[0] * size[1]))
        if len(boxes):
            self._reach = np.maximum(self._reach, boxes[:, 2:].max(axis=0) / size)
        for category, *texts in zip(
            record.categories, record.questions, record.answers, strict=True
        ):
            self._read(record.key, category, texts, boxes, size)

    def _read(self, key: str, category: str, texts: list[str], boxes, size) -> None:
        """Reads a question as the task that asks it does."""
        try:
            asked = from_record(category, *texts, boxes, *size)
            self._unread[category] += bool(category) and asked.truth is None
        except BadInput as error:
            self._refused += 1
            self._first_refused = self._first_refused or f"{key}: {error}"

    def result(self) -> dict[str, Any]:
        """Figures for JSON."""
        return {
            "boxes_an_image": self._boxes.to_dict(),
            "questions_an_image": self._questions.to_dict(),
            "box_area": self._area.to_dict(),
            "boxes_outside": self._outside,
            "boxes_under_4_pixels": self._small,
            "reach": dict(zip(("x", "y"), np.minimum(self._reach, 1).tolist(), strict=True)),
            "qa_types": {name or "none": n for name, n in self._types.items()},
            "categories": {name or "none": n for name, n in self._categories.items()},
            "answers_with_category": sum(n for name, n in self._categories.items() if name),
            "answers_unread": {name: n for name, n in self._unread.items() if n},
            "questions_refused": self._refused,
            "first_refused_question": self._first_refused,
        }


class CameraStatistics:
    """Of the cameras of any kind of record."""

    def __init__(self):
        self._fx, self._fy = Tally(), Tally()
        self._view = Tally(0, 180, log=False)
        self._off = Tally(0, 1, log=False)
        self._unequal = self._very_unequal = self._off_centre = self._unknown = 0

    def add(self, camera: Camera | None) -> None:
        """Counts a camera; None where it is not known."""
        if camera is None:
            self._unknown += 1
            return
        self._fx.add(camera.fx)
        self._fy.add(camera.fy)
        ratio = abs(camera.fx / camera.fy - 1)
        self._unequal += ratio > 0.001
        self._very_unequal += ratio > 0.1
        self._view.add(2 * np.degrees(np.arctan(camera.width / 2 / camera.fx)))
        off = max(
            abs(camera.cx - (camera.width - 1) / 2) / camera.width,
            abs(camera.cy - (camera.height - 1) / 2) / camera.height,
        )
        self._off.add(off)
        self._off_centre += off > 0.2

    def result(self) -> dict[str, Any]:
        """Figures for JSON."""
        count = max(self._fx.count, 1)
        return {
            "fx": self._fx.to_dict(),
            "fy": self._fy.to_dict(),
            "fx_differs_from_fy": self._unequal / count,
            "fx_differs_from_fy_by_a_tenth": self._very_unequal / count,
            "field_of_view_degrees": self._view.to_dict(),
            "principal_point_off_centre": self._off.to_dict(),
            "principal_point_off_by_a_fifth": self._off_centre / count,
            "unknown": self._unknown,
        }
