"""Depth of an image, or of all images of a folder: from files to files."""

import dataclasses
import io
import math
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
from absl import logging

from vlm3_jax.data.cameras.exif import is_turned
from vlm3_jax.data.depth_samples import DepthSampling
from vlm3_jax.data.images import decode
from vlm3_jax.errors import BadInput
from vlm3_jax.evaluation.picture import draw_points
from vlm3_jax.evaluation.progress import Progress
from vlm3_jax.files import json_bytes, json_lines, write_together
from vlm3_jax.prediction import depth_files
from vlm3_jax.prediction.intrinsics import CameraFinder, CameraOptions, KnownCamera, camera_finder
from vlm3_jax.prediction.points import PointChooser, PointOptions, Selection
from vlm3_jax.prediction.predictor import (
    PointAnswer,
    PointQuery,
    Predictor,
    read_bytes,
    read_image,
)

PREDICTION = "prediction.json"
_QUESTIONS = 100  # At a time, of one image.
_SUFFIXES = frozenset((".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".ppm", ".gif"))


@dataclass(frozen=True)
class DepthRequest:
    """What is asked."""

    checkpoint: str
    image: Path
    """An image, or a folder of images."""
    camera: CameraOptions
    points: PointOptions
    kind: Literal["euclid", "z"]
    """What the checkpoint was taught to say: distance from the camera's centre, or depth along its
    axis. The numbers stay as they were said; the point cloud depends on it."""
    focal: float
    dtype: str
    max_new_tokens: int
    out: Path | None

    def __post_init__(self):
        if self.out is None and self.image.is_dir():
            raise BadInput("--image is a folder, so the results need one too: give --out.")
        if self.out is None and self.points.is_map:
            raise BadInput("a map is written to files: give a folder for them as --out.")


@dataclass(frozen=True)
class _View:
    """An image that can be asked about."""

    path: Path
    out: Path | None
    known: KnownCamera
    selection: Selection

    def query(self) -> PointQuery:
        return PointQuery(
            read_image(self.path), self.known.camera, self.selection.points_xy, str(self.path)
        )


def run(request: DepthRequest) -> tuple[dict[str, Any], int]:
    """Asks about every point and writes what was said.

    All images are looked at before the weights are read. One of a folder that cannot be used is
    named in the log and skipped; results are written image by image, each whole.

    Returns:
        The result, as for `prediction.json`; of a folder, what became of every image. And the exit
        status: 1 where an image was skipped.

    Raises:
        BadInput: the image, or all of a folder's, or an option cannot be used; or there is no room.
    """
    views, skipped = _look_at_all(request)
    predictor = Predictor.from_pretrained(
        request.checkpoint,
        focal=request.focal,
        dtype=request.dtype,
        questions=min(_QUESTIONS, max(len(view.selection.points_xy) for view in views)),
        max_new_tokens=request.max_new_tokens,
    )
    answers = _with_progress(
        predictor.answer_points(view.query() for view in views),
        total=sum(len(view.selection.points_xy) for view in views),
    )
    results = []
    for view in views:
        said = list(islice(answers, len(view.selection.points_xy)))
        results.append(_write(request, view, said))
    if not request.image.is_dir():
        return results[0], 0
    kept = ("image", "out", "questions", "parse_failures", "unfinished", "unusable")
    summary = {
        "task": "depth",
        "checkpoint": request.checkpoint,
        "images": [{key: result[key] for key in kept} for result in results],
        "skipped": skipped,
    }
    return summary, int(bool(skipped))


def _look_at_all(request: DepthRequest) -> tuple[list[_View], list[dict[str, str]]]:
    """The images that can be asked about, and those of a folder that cannot, with the reasons."""
    chooser, find_camera = PointChooser(request.points), camera_finder(request.camera)
    sampling = DepthSampling(focal=request.focal)
    if not request.image.is_dir():
        return [_look(request.image, request.out, chooser, find_camera, sampling)], []
    views, skipped = [], []
    paths = _images_of(request.image)
    for path in paths:
        try:
            out = request.out / path.name
            views.append(_look(path, out, chooser, find_camera, sampling))
        except BadInput as error:
            logging.warning("skipped: %s", error)
            skipped.append({"image": str(path), "error": str(error)})
    if not views:
        raise BadInput(
            f"none of the {len(paths)} images of {request.image} can be used; the first:"
            f" {skipped[0]['error']}"
        )
    logging.info("%d images, %d skipped", len(views), len(skipped))
    return views, skipped


def _images_of(folder: Path) -> list[Path]:
    """The images of a folder, sorted by name."""
    files = sorted(path for path in folder.iterdir() if path.is_file())
    images = [path for path in files if path.suffix.lower() in _SUFFIXES]
    if not images:
        raise BadInput(
            f"--image={folder} holds no image: name a folder with files that end in"
            f" {', '.join(sorted(_SUFFIXES))}."
        )
    if len(images) < len(files):
        logging.info("files of %s that are no images: %d", folder, len(files) - len(images))
    return images


def _look(
    path: Path,
    out: Path | None,
    chooser: PointChooser,
    find_camera: CameraFinder,
    sampling: DepthSampling,
) -> _View:
    data = read_bytes(path)
    height, width = decode(data, str(path)).shape[:2]
    known = find_camera(path, data, width, height)
    sampling.unify(known.camera, str(path))
    if is_turned(data):
        logging.warning(
            "%s is shown to the model as it is stored, not as its EXIF orientation says, and points"
            " are counted so: turn its pixels if it lies on its side (mogrify -auto-orient).",
            path,
        )
    return _View(path, out, known, chooser.choose(width, height, str(path)))


def _with_progress(answers: Iterator[PointAnswer], total: int) -> Iterator[PointAnswer]:
    progress, start = Progress(total, "questions"), time.monotonic()
    for done, answer in enumerate(answers, start=1):
        progress.report(done)
        if done == total:
            progress.close()
            seconds = time.monotonic() - start
            logging.info("%d questions in %.1f s, %.1f/s", total, seconds, total / seconds)
        yield answer


def _write(request: DepthRequest, view: _View, answers: list[PointAnswer]) -> dict[str, Any]:
    """Writes what was said of an image; returns the content of its `prediction.json`."""
    records = [
        # What is said of one point stands here, for points and maps alike.
        {"x": x, "y": y, "metres": said.metres, "answer": said.text, "finished": said.finished}
        for (x, y), said in zip(view.selection.points_xy.tolist(), answers, strict=True)
    ]
    counts = Counter(
        parse_failures=sum(said.metres is None for said in answers),
        unfinished=sum(not said.finished for said in answers),
        unusable=sum(
            said.metres is not None and math.isnan(said.usable_metres) for said in answers
        ),
    )
    _warn(request, view, records, counts)
    result = {
        "task": "depth",
        "checkpoint": request.checkpoint,
        "image": str(view.path),
        "out": None if view.out is None else str(view.out),
        "camera": dataclasses.asdict(view.known.camera),
        "camera_source": view.known.source,
        "focal": request.focal,
        "depth_kind": request.kind,
        "questions": len(records),
        **counts,
    }
    files: dict[str, bytes] = {}
    if view.selection.grid is None:
        result["points"] = records
        if view.out is not None:
            files["prediction.png"] = _picture(view, records)
    else:
        files, about = _map_files(request, view, answers)
        result |= about
        files["points.jsonl"] = json_lines(records)
    if view.out is not None:
        write_together(view.out, files | {PREDICTION: json_bytes(result)})
        logging.info("wrote %s", view.out)
    return result


def _warn(request: DepthRequest, view: _View, records: list[dict], counts: Counter) -> None:
    if counts["parse_failures"]:
        first = next(record for record in records if record["metres"] is None)
        logging.warning(
            "%s: %d of %d answers hold no number (%d answers were cut at --max_new_tokens=%d);"
            " the first, at (%g, %g): %r",
            view.path,
            counts["parse_failures"],
            len(records),
            counts["unfinished"],
            request.max_new_tokens,
            first["x"],
            first["y"],
            first["answer"],
        )
    if counts["unusable"]:
        logging.warning(
            "%s: %d answers are no distances: zero, negative or endless",
            view.path,
            counts["unusable"],
        )


def _picture(view: _View, records: list[dict]) -> bytes:
    """The points and their metres on the image."""
    labels = ["?" if r["metres"] is None else f"{r['metres']:.2f} m" for r in records]
    picture = io.BytesIO()
    points = [(record["x"], record["y"]) for record in records]
    draw_points(read_image(view.path), points, labels).save(picture, format="PNG")
    return picture.getvalue()


def _map_files(
    request: DepthRequest, view: _View, answers: list[PointAnswer]
) -> tuple[dict[str, bytes], dict[str, Any]]:
    """The four files of a map, and what is to be known about them."""
    grid, camera = view.selection.grid, view.known.camera
    metres = np.full((grid.rows, grid.columns), np.nan, np.float32)
    metres[view.selection.cells] = [said.usable_metres for said in answers]

    known = np.isfinite(metres)
    xy = grid.pixels()[known]
    points = depth_files.lift(camera, xy, metres[known], request.kind)
    colours = read_image(view.path)[xy[:, 1], xy[:, 0]]
    limits = depth_files.colour_range(metres)
    millimetres, saturated = depth_files.millimetre_png(metres)
    files = {
        "depth_color.png": depth_files.colour_png(
            metres, limits, grid.stride, camera.width, camera.height
        ),
        "depth_mm.png": millimetres,
        "depth.npy": depth_files.npy(metres),
        "points.ply": depth_files.ply(points, colours),
    }
    if saturated:
        logging.warning(
            "%s: %d depths are beyond 65.535 m, the most that depth_mm.png holds; depth.npy has"
            " them",
            view.path,
            saturated,
        )
    about = {
        "grid": {
            "stride": grid.stride,
            "rows": grid.rows,
            "columns": grid.columns,
            "first_pixel": [grid.first, grid.first],
        },
        "color_range_metres": limits,
        "saturated_in_depth_mm": saturated,
        "files": [*files, "points.jsonl"],
    }
    return files, about
