"""Where pixels of an image lie in another: from files to files."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from absl import logging

from vlm3_jax.data.shown import fit
from vlm3_jax.evaluation.picture import draw_matches
from vlm3_jax.evaluation.progress import with_progress
from vlm3_jax.prediction import results
from vlm3_jax.prediction.images import read_photo
from vlm3_jax.prediction.points import PointChooser, PointOptions
from vlm3_jax.prediction.request import Request


@dataclass(frozen=True, kw_only=True)
class CorrespondenceRequest(Request):
    """What `predict --task=correspondence` is asked."""

    images: tuple[Path, Path]
    points: PointOptions
    """Of the first image."""
    longer_side: int
    """Pixels that the longer side of both images is resized to."""


def run(request: CorrespondenceRequest) -> dict[str, Any]:
    """Asks about every point and writes what was said; everything is checked before the weights.

    Returns:
        The content of `prediction.json`.

    Raises:
        BadInput: an image, a point or an option cannot be used; or there is no room.
    """
    first, second = map(read_photo, request.images)
    for photo in (first, second):
        fit(photo.pixels, request.longer_side, str(photo.path))
    points = PointChooser(request.points).choose(*first.size, str(first.path)).points_xy

    predictor = request.load(questions=len(points))
    answers = predictor.answer_matches(first.pixels, second.pixels, points, request.longer_side)
    matches = list(with_progress(answers, len(points), "questions"))

    found = [match.xy for match in matches]
    records = []
    for (x, y), match in zip(points.tolist(), matches, strict=True):
        x2, y2 = match.xy or (None, None)
        said = {"answer": match.said.text, "finished": match.said.finished}
        records.append({"x1": x, "y1": y, "x2": x2, "y2": y2, **said})
    width, height = second.size
    outside = sum(not (0 <= xy[0] < width and 0 <= xy[1] < height) for xy in found if xy)
    if outside:
        logging.warning("%d answers lie outside of %s", outside, second.path)
    result = {
        "task": "correspondence",
        "checkpoint": request.checkpoint,
        "images": [str(path) for path in request.images],
        "out": None if request.out is None else str(request.out),
        "longer_side": request.longer_side,
        **results.count_failures(
            request,
            [match.said for match in matches],
            found,
            [f"({x:g}, {y:g})" for x, y in points],
        ),
        "outside": outside,
        "points": records,
    }
    draw = partial(draw_matches, first.pixels, second.pixels, points, found)
    results.write(request, result, draw)
    return result
