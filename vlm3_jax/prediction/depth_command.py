"""Depth of an image, or of all images of a folder: from files to files."""

from itertools import islice
from pathlib import Path
from typing import Any

from absl import logging

from vlm3_jax.data.shown import unified_camera
from vlm3_jax.errors import BadInput
from vlm3_jax.evaluation.progress import with_progress
from vlm3_jax.prediction import depth_results
from vlm3_jax.prediction.depth_request import DepthRequest, View
from vlm3_jax.prediction.images import read_photo
from vlm3_jax.prediction.intrinsics import CameraFinder, camera_finder
from vlm3_jax.prediction.points import PointChooser

_SUFFIXES = frozenset((".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".ppm", ".gif"))


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
    counts = [len(view.selection.points_xy) for view in views]
    predictor = request.load(max(counts), request.focal, request.branches)
    answers = predictor.answer_points(view.query() for view in views)
    answers = with_progress(answers, sum(counts), "questions")
    results = []
    for view, count in zip(views, counts, strict=True):
        said = list(islice(answers, count))
        results.append(depth_results.write(request, view, said))
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


def _look_at_all(request: DepthRequest) -> tuple[list[View], list[dict[str, str]]]:
    """The images that can be asked about, and those of a folder that cannot, with the reasons."""
    chooser, find_camera = PointChooser(request.points), camera_finder(request.camera)
    if not request.image.is_dir():
        return [_look(request.image, request.out, chooser, find_camera, request.focal)], []
    views, skipped = [], []
    paths = _images_of(request.image)
    for path in paths:
        try:
            out = request.out / path.name
            views.append(_look(path, out, chooser, find_camera, request.focal))
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
    focal: float,
) -> View:
    photo = read_photo(path)
    known = find_camera(path, photo.data, *photo.size)
    unified_camera(known.camera, focal, str(path))
    return View(path, out, known, chooser.choose(*photo.size, str(path)))
