"""Anything said about images, or about none: from files to files."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vlm3_jax.errors import BadInput
from vlm3_jax.prediction import results
from vlm3_jax.prediction.images import read_photo
from vlm3_jax.prediction.intrinsics import CameraOptions, camera_finder
from vlm3_jax.prediction.request import Request


@dataclass(frozen=True, kw_only=True)
class ChatRequest(Request):
    """What `predict --task=chat` is asked."""

    images: tuple[Path, ...]
    camera: CameraOptions
    """Without any, images are shown as they are."""
    focal: float
    prompt: str

    def __post_init__(self):
        if self.camera.given and not self.images:
            raise BadInput("a camera is given without an --image.")


def run(request: ChatRequest) -> dict[str, Any]:
    """Says the prompt and writes what was answered.

    Returns:
        The content of `prediction.json`.

    Raises:
        BadInput: an image or an option cannot be used; or there is no room.
    """
    photos = [read_photo(path) for path in request.images]
    cameras = []
    if request.camera.given:
        find = camera_finder(request.camera)
        cameras = [find(photo.path, photo.data, *photo.size).camera for photo in photos]
    predictor = request.load(questions=1, focal=request.focal)
    said = predictor.chat([photo.pixels for photo in photos], request.prompt, cameras)
    result = {
        "task": "chat",
        "checkpoint": request.checkpoint,
        "images": [str(path) for path in request.images],
        "prompt": request.prompt,
        "text": said.text,
        "token_ids": said.token_ids,
        "finished": said.finished,
    }
    results.write(request, result)
    return result
