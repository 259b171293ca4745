"""A checkpoint that answers: `from vlm3_jax import Predictor`."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from vlm3_jax.data.chat import Sample, Turn
from vlm3_jax.data.depth_samples import DepthSampling
from vlm3_jax.data.encoder import Encoder
from vlm3_jax.data.images import decode, resize, to_rgb
from vlm3_jax.decoding.config import DecodingConfig
from vlm3_jax.decoding.load import load_decoder, resolve_dtype
from vlm3_jax.decoding.runner import Answer, Decoder
from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.camera import Camera
from vlm3_jax.geometry.grid import Grid
from vlm3_jax.parallel.mesh import MeshConfig
from vlm3_jax.tasks import depth

_MESH = MeshConfig(fsdp=1, tensor=-1)  # All devices work on one image, so it is there soonest.
_LARGEST_METRES = float(np.finfo(np.float32).max)

ImageLike = str | Path | Image.Image | np.ndarray
"""A file, a PIL image, or RGB pixels: uint8 [H, W, 3]."""

Intrinsics = Camera | Sequence[float] | np.ndarray
"""A camera, the numbers `fx, fy, cx, cy`, or the calibration matrix [3, 3]; in pixels of the image,
whose first one has its centre at (0, 0)."""


@dataclass(frozen=True)
class PointQuery:
    """Pixels of one image to ask about."""

    image: np.ndarray
    """uint8 [H, W, 3]."""
    camera: Camera
    points_xy: np.ndarray
    """[N, 2]."""
    name: str
    """Names the image in errors."""


@dataclass(frozen=True)
class PointAnswer:
    """What the model said of one pixel."""

    metres: float | None
    """None where the answer holds no number."""
    text: str
    finished: bool
    """Whether the answer ended before it was cut at the configured length."""

    @property
    def usable_metres(self) -> float:
        """The metres where they are a distance: positive, and no more than float32 holds; else NaN.

        NaN too where the answer holds no number.
        """
        is_distance = self.metres is not None and 0 < self.metres <= _LARGEST_METRES
        return self.metres if is_distance else math.nan


@dataclass(frozen=True)
class ChatAnswer:
    """What the model said."""

    text: str
    token_ids: tuple[int, ...]
    finished: bool
    """See `PointAnswer`."""


class Predictor:
    """Asks a model about images."""

    def __init__(self, encoder: Encoder, decoder: Decoder, focal: float = 1000.0):
        """Args: a checkpoint's parts, and the focal length in pixels that images are resized to."""
        self._encoder, self._decoder = encoder, decoder
        self._sampling = DepthSampling(focal=focal)

    @classmethod
    def from_pretrained(
        cls,
        checkpoint: str | Path,
        *,
        focal: float = 1000.0,
        dtype: str = "auto",
        questions: int = 100,
        max_new_tokens: int = 128,
    ) -> "Predictor":
        """Loads a checkpoint on all devices.

        Args:
            checkpoint: Hugging Face folder, hub id, or folder that `train` or `convert` wrote.
            focal: focal length in pixels that every image with known intrinsics is resized to; the
                one that the checkpoint was trained with.
            dtype: type to compute in; `auto` is float32 on a CPU and bfloat16 elsewhere.
            questions: how many are answered at a time.
            max_new_tokens: longest answer; a longer one is cut.

        Raises:
            BadInput: the checkpoint or a setting cannot be used.
        """
        DepthSampling(focal=focal)  # Checked before the weights are read.
        config = DecodingConfig(images=1, questions=questions, max_new_tokens=max_new_tokens)
        parts = load_decoder(str(checkpoint), resolve_dtype(dtype), _MESH, config)
        return cls(*parts, focal=focal)

    def depth(self, image: ImageLike, intrinsics: Intrinsics, points: np.ndarray) -> np.ndarray:
        """Asks how far the points of an image are.

        Args:
            image: what is asked about.
            intrinsics: of the image as it is given.
            points: its pixels (x, y), [N, 2].

        Returns:
            Metres, float32 [N]; NaN where the model says no positive number. VLM3 was mostly taught
            the distance from the camera's centre, not the depth along its axis.

        Raises:
            BadInput: the image, its intrinsics or a point cannot be used.
        """
        pixels = read_image(image)
        height, width = pixels.shape[:2]
        camera = as_camera(intrinsics, width, height)
        try:
            points = np.asarray(points, np.float64).reshape(-1, 2)
        except ValueError as error:
            raise BadInput(f"points are no pixels (x, y), [N, 2]: {error}.") from error
        query = PointQuery(pixels, camera, points, _name(image))
        answers = self.answer_points([query])
        return np.array([answer.usable_metres for answer in answers], np.float32)

    def depth_map(self, image: ImageLike, intrinsics: Intrinsics, stride: int) -> np.ndarray:
        """Asks how far every `stride`-th pixel of every `stride`-th row is.

        Args:
            image: see `depth`.
            intrinsics: see `depth`.
            stride: pixels from one cell of the map to the next; the first is at `stride // 2`.

        Returns:
            Metres, float32 [rows, columns]; see `depth`, and `Grid` for the pixel of each cell.

        Raises:
            BadInput: see `depth`; or the stride leaves no pixel.
        """
        pixels = read_image(image)
        grid = Grid(stride, pixels.shape[1], pixels.shape[0])
        points = grid.pixels().reshape(-1, 2)
        return self.depth(pixels, intrinsics, points).reshape(grid.rows, grid.columns)

    def answer_points(self, queries: Iterable[PointQuery]) -> Iterator[PointAnswer]:
        """Answers for the points of every query, in order, as they come.

        Args:
            queries: drawn as they are needed, somewhat ahead of the answers.

        Raises:
            BadInput: see `depth`.
        """
        prompts = (self._encoder.encode_prompts(self._sample(query)) for query in queries)
        self._decoder.expect(self._encoder.encode_answer(depth.format_answer(1.23)))
        for answer in self._decoder.answer(group for group in prompts if group):
            yield self._read_point(answer)

    def chat(
        self, images: Sequence[ImageLike], prompt: str, cameras: Sequence[Camera | None] = ()
    ) -> ChatAnswer:
        """Says something about images, or about none.

        Args:
            images: they stand before the prompt.
            prompt: what is said.
            cameras: one an image, or none at all; an image with a camera is resized to the focal
                length, others are shown as they are.

        Raises:
            BadInput: an image or the prompt cannot be used.
        """
        shown = []
        cameras = cameras or [None] * len(images)
        for image, camera in zip(images, cameras, strict=True):
            pixels = read_image(image)
            shown.append(pixels if camera is None else self._unify(pixels, camera, _name(image))[1])
        sample = Sample(tuple(shown), (Turn(prompt),), key="the conversation")
        (answer,) = self._decoder.answer([self._encoder.encode_prompts(sample)])
        text = self._encoder.decode(answer.token_ids)
        return ChatAnswer(text, answer.token_ids, answer.finished)

    def _sample(self, query: PointQuery) -> Sample:
        unified, shown = self._unify(query.image, query.camera, query.name)
        prompts = depth.prompts(query.camera, unified, query.points_xy)
        return Sample((shown,), tuple(map(Turn, prompts)), key=query.name)

    def _unify(self, image: np.ndarray, camera: Camera, name: str) -> tuple[Camera, np.ndarray]:
        unified = self._sampling.unify(camera, name)
        return unified, resize(image, unified.width, unified.height)

    def _read_point(self, answer: Answer) -> PointAnswer:
        text = self._encoder.decode(answer.token_ids)
        return PointAnswer(depth.parse_answer(text), text, answer.finished)


def read_image(image: ImageLike) -> np.ndarray:
    """RGB pixels, uint8 [H, W, 3], as they are stored: an EXIF orientation is not applied.

    Raises:
        BadInput: it cannot be read or is no image.
    """
    name = _name(image)
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise BadInput(
                f"{name} is {image.dtype} {list(image.shape)}, but must be uint8 [H, W, 3]."
            )
        return image
    if isinstance(image, Image.Image):
        try:
            return to_rgb(image, name)
        except BadInput:
            raise
        except (OSError, ValueError) as error:
            raise BadInput(f"{name} cannot be used ({error}): give a whole image.") from error
    return decode(read_bytes(image), name)


def read_bytes(path: str | Path) -> bytes:
    """The bytes of an image file.

    Raises:
        BadInput: it cannot be read.
    """
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise BadInput(f"the image {path} cannot be read: {error.strerror}.") from error


def as_camera(intrinsics: Intrinsics, width: int, height: int) -> Camera:
    """The camera that intrinsics describe, for an image of this size.

    Raises:
        BadInput: they describe none, or that of an image of another size.
    """
    if isinstance(intrinsics, Camera):
        camera = intrinsics
        if (camera.width, camera.height) != (width, height):
            raise BadInput(
                f"the intrinsics are those of a {camera.width}x{camera.height} image, but this one"
                f" is {width}x{height}: rescale them (vlm3_jax.geometry.intrinsics)."
            )
    else:
        values = np.asarray(intrinsics, np.float64)
        if values.shape == (3, 3):
            values = values[[0, 1, 0, 1], [0, 1, 2, 2]]
        if values.shape != (4,):
            raise BadInput(
                f"the intrinsics have the shape {list(values.shape)}: give fx, fy, cx, cy, or the"
                " calibration matrix [3, 3]."
            )
        camera = Camera(*values.tolist(), width=width, height=height)
    camera.check("the intrinsics")
    return camera


def _name(image: ImageLike) -> str:
    return str(image) if isinstance(image, str | Path) else "the image"
