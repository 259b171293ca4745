"""Questions about objects in boxes of an image: from files to files."""

import dataclasses
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from absl import logging

from vlm3_jax.data.shown import unified_camera
from vlm3_jax.evaluation.picture import draw_boxes
from vlm3_jax.prediction import results
from vlm3_jax.prediction.images import read_photo
from vlm3_jax.prediction.intrinsics import CameraOptions, camera_if_known
from vlm3_jax.prediction.points import parse_numbers
from vlm3_jax.prediction.request import Request
from vlm3_jax.tasks import objects


@dataclass(frozen=True, kw_only=True)
class ObjectsRequest(Request):
    """What `predict --task=objects` is asked."""

    image: Path
    camera: CameraOptions
    focal: float
    boxes: str
    """Left, top, right, bottom in pixels of the image, "x1,y1,x2,y2 x1,y1,x2,y2"."""
    question: str
    """In which every `Region [i]` stands for a box, counted from 0."""


def run(request: ObjectsRequest) -> dict[str, Any]:
    """Asks the question and writes what was said; everything is checked before the weights.

    Returns:
        The content of `prediction.json`.

    Raises:
        BadInput: the image, a box, the question or an option cannot be used; or there is no room.
    """
    photo = read_photo(request.image)
    form = "x1,y1,x2,y2 x1,y1,x2,y2"
    boxes = parse_numbers(request.boxes, 4, "--boxes", "boxes", form)
    objects.prompt(request.question, boxes, *photo.size)
    known = camera_if_known(request.camera, photo.path, photo.data, *photo.size)
    if known is None:
        logging.warning(
            "the camera of %s is unknown, so that it is shown as it is, and lengths in the answer"
            " are worth less: give --fx, --fov or --cameras.",
            photo.path,
        )
    else:
        unified_camera(known.camera, request.focal, str(photo.path))

    predictor = request.load(questions=1, focal=request.focal)
    camera, source = known or (None, None)
    found = predictor.objects(photo.pixels, boxes, request.question, camera)
    if found.metres is None and found.clock_hour is None:
        logging.info("the answer states no one length and no one direction")
    if not found.said.finished:
        logging.warning("the answer was cut at --max_new_tokens=%d", request.max_new_tokens)

    result = {
        "task": "objects",
        "checkpoint": request.checkpoint,
        "image": str(request.image),
        "out": None if request.out is None else str(request.out),
        "camera": None if camera is None else dataclasses.asdict(camera),
        "camera_source": source,
        "focal": None if camera is None else request.focal,
        "questions": 1,
        "unfinished": int(not found.said.finished),
        "boxes": boxes.tolist(),
        "question": request.question,
        "prompt": found.prompt,
        "answer": found.said.text,
        "metres": found.metres,
        "clock_hour": found.clock_hour,
        "finished": found.said.finished,
    }
    labels = [f"Region [{number}]" for number in range(len(boxes))]
    results.write(request, result, partial(draw_boxes, photo.pixels, boxes, labels))
    return result
