"""What was said of an image, as `prediction.json` and the files beside it."""

import dataclasses
import io
import math
from collections import Counter
from typing import Any

import numpy as np
from absl import logging

from vlm3_jax.evaluation.picture import draw_points
from vlm3_jax.files import json_bytes, json_lines, write_together
from vlm3_jax.prediction import depth_files
from vlm3_jax.prediction.depth_request import DepthRequest, View
from vlm3_jax.prediction.predictor import PointAnswer, read_image
from vlm3_jax.tasks import depth
from vlm3_jax.tasks.averages import mean

PREDICTION = "prediction.json"


def write(request: DepthRequest, view: View, answers: list[PointAnswer]) -> dict[str, Any]:
    """Writes what was said of an image; returns the content of its `prediction.json`."""
    records = [
        _record(request, *xy, said)
        for xy, said in zip(view.selection.points_xy.tolist(), answers, strict=True)
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
    if request.branches:
        unexplained = mean([said.certainty.unexplained for said in answers])
        result["certainty"] = {"branches": request.branches, "mean_unexplained": unexplained}
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


def _record(request: DepthRequest, x: float, y: float, said: PointAnswer) -> dict[str, Any]:
    """What is said of one point, for points and maps alike."""
    record = {
        "x": x,
        "y": y,
        "metres": said.metres,
        "answer": said.text,
        "finished": said.finished,
        "log_probability": said.log_probability,
    }
    return record | (depth.certainty_record(said.certainty) if request.branches else {})


def _warn(request: DepthRequest, view: View, records: list[dict], counts: Counter) -> None:
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


def _picture(view: View, records: list[dict]) -> bytes:
    """The points and their metres on the image."""
    labels = ["?" if r["metres"] is None else f"{r['metres']:.2f} m" for r in records]
    picture = io.BytesIO()
    points = [(record["x"], record["y"]) for record in records]
    draw_points(read_image(view.path), points, labels).save(picture, format="PNG")
    return picture.getvalue()


def _map_files(
    request: DepthRequest, view: View, answers: list[PointAnswer]
) -> tuple[dict[str, bytes], dict[str, Any]]:
    """The files of a map, and what is to be known about them."""
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
    if request.branches:
        confidence = np.full(metres.shape, np.nan, np.float32)
        confidence[view.selection.cells] = [said.certainty.confidence for said in answers]
        files["confidence.png"] = depth_files.level_png(
            confidence, grid.stride, camera.width, camera.height
        )
        files["confidence.npy"] = depth_files.npy(confidence)
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
