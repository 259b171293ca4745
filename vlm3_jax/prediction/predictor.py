"""A checkpoint that answers: `from vlm3_jax import Predictor`."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vlm3_jax.data.chat import Sample, Turn
from vlm3_jax.data.encoder import Encoder
from vlm3_jax.data.shown import FOCAL, LONGER_SIDE, POSE_FOCAL, check_focal, fit, unify
from vlm3_jax.decoding.config import DecodingConfig
from vlm3_jax.decoding.load import load_decoder, resolve_dtype
from vlm3_jax.decoding.runner import Answer, Decoder
from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.camera import Camera
from vlm3_jax.geometry.grid import Grid
from vlm3_jax.parallel.mesh import MeshConfig
from vlm3_jax.prediction.answers import CertainDepth, ChatAnswer, Match, ObjectsAnswer, RelativePose
from vlm3_jax.prediction.images import ImageLike, Intrinsics, as_camera, image_name, read_image
from vlm3_jax.tasks import correspondence, depth, objects, pose
from vlm3_jax.tasks.certainty import Certainty

_MESH = MeshConfig(fsdp=1, tensor=-1)  # All devices work on one image, so it is there soonest.
_LARGEST_METRES = float(np.finfo(np.float32).max)


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
    log_probability: float
    """Natural logarithm, of the whole answer."""
    certainty: Certainty
    """Of its first number; without branches all of it is unexplained."""

    @property
    def usable_metres(self) -> float:
        """The metres where they are a distance: positive, and no more than float32 holds; else NaN.

        NaN too where the answer holds no number.
        """
        is_distance = self.metres is not None and 0 < self.metres <= _LARGEST_METRES
        return self.metres if is_distance else math.nan


class Predictor:
    """Asks a model about images."""

    def __init__(self, encoder: Encoder, decoder: Decoder, focal: float | None = None):
        """Args: a checkpoint's parts, and the focal length, see `from_pretrained`."""
        self._encoder, self._decoder = encoder, decoder
        self._focal = focal

    @classmethod
    def from_pretrained(
        cls,
        checkpoint: str | Path,
        *,
        focal: float | None = None,
        dtype: str = "auto",
        questions: int = 100,
        max_new_tokens: int = 128,
        branches: int = 0,
    ) -> "Predictor":
        """Loads a checkpoint on all devices.

        Args:
            checkpoint: Hugging Face folder, hub id, or folder that `train` or `convert` wrote.
            focal: focal length in pixels that every image with known intrinsics is resized to; the
                one that the checkpoint was trained with. None: those of the released checkpoints,
                750 for `pose` and 1000 otherwise.
            dtype: type to compute in; `auto` is float32 on a CPU and bfloat16 elsewhere.
            questions: how many are answered at a time.
            max_new_tokens: longest answer; a longer one is cut.
            branches: digit prefixes that are expanded at a time for `depth_with_certainty`, which
                needs some, about 8; they cost time.

        Raises:
            BadInput: the checkpoint or a setting cannot be used.
        """
        if focal is not None:
            check_focal(focal)  # Before the weights are read.
        config = DecodingConfig(
            images=1, questions=questions, max_new_tokens=max_new_tokens, branches=branches
        )
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
        answers = self._depths(image, intrinsics, points)
        return np.array([answer.usable_metres for answer in answers], np.float32)

    def depth_with_certainty(
        self, image: ImageLike, intrinsics: Intrinsics, points: np.ndarray
    ) -> CertainDepth:
        """Asks how far the points of an image are, and how certain that is.

        Args:
            image: see `depth`.
            intrinsics: see `depth`.
            points: see `depth`.

        Raises:
            BadInput: see `depth`; or the predictor was made without branches.
        """
        if not self._decoder.config.branches:
            raise BadInput(
                "certainty needs branches: make the predictor with"
                " Predictor.from_pretrained(..., branches=8)."
            )
        answers = self._depths(image, intrinsics, points)

        def array(values: Iterable[float | None]) -> np.ndarray:
            return np.array([math.nan if v is None else v for v in values], np.float32)

        return CertainDepth(
            metres=array(answer.usable_metres for answer in answers),
            log_probability=array(answer.log_probability for answer in answers),
            likely_metres=array(answer.certainty.likely for answer in answers),
            confidence=array(answer.certainty.confidence for answer in answers),
            low=array(answer.certainty.low for answer in answers),
            high=array(answer.certainty.high for answer in answers),
        )

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
        self._expect(depth.format_answer(1.23))
        for answer in self._decoder.answer(group for group in prompts if group):
            yield self._read_point(answer)

    def correspondence(
        self,
        image_1: ImageLike,
        image_2: ImageLike,
        points: np.ndarray,
        longer_side: int = LONGER_SIDE,
    ) -> np.ndarray:
        """Asks where pixels of the first image lie in the second.

        Args:
            image_1: where the points are.
            image_2: where they are looked for.
            points: pixels (x, y) of the first image, [N, 2].
            longer_side: pixels that the longer side of both images is resized to.

        Returns:
            Pixels of the second image as it is given, float64 [N, 2], which answers state in 1/1000
            of its sides and may lie outside of it; NaN where the model says no position.

        Raises:
            BadInput: an image, a point or the length cannot be used.
        """
        points = _rows(points, 2, "points are no pixels (x, y)")
        found = self.answer_matches(image_1, image_2, points, longer_side)
        pixels = [match.xy or (np.nan, np.nan) for match in found]
        return np.array(pixels, np.float64).reshape(-1, 2)

    def answer_matches(
        self, image_1: ImageLike, image_2: ImageLike, points: np.ndarray, longer_side: int
    ) -> Iterator[Match]:
        """Answers for every point, in order, as they come; see `correspondence`."""
        pixels_1, pixels_2 = read_image(image_1), read_image(image_2)
        (height_1, width_1), (height_2, width_2) = pixels_1.shape[:2], pixels_2.shape[:2]
        prompts = correspondence.prompts(points, width_1, height_1)
        shown = [
            fit(pixels, longer_side, image_name(image))
            for pixels, image in ((pixels_1, image_1), (pixels_2, image_2))
        ]
        self._expect(correspondence.format_answer((123, 456)))
        for said in self._ask(shown, prompts, "the pair of images"):
            xy = None
            if (position := correspondence.parse_answer(said.text)) is not None:
                xy = correspondence.to_pixel(position, width_2, height_2)
            yield Match(xy if xy and all(map(math.isfinite, xy)) else None, said)

    def pose(
        self,
        image_1: ImageLike,
        image_2: ImageLike,
        intrinsics_1: Intrinsics,
        intrinsics_2: Intrinsics,
    ) -> RelativePose:
        """Asks how the camera moved from the first image to the second, in all four questions.

        Args:
            image_1: the reference.
            image_2: seen after the movement.
            intrinsics_1: of the first image as it is given.
            intrinsics_2: of the second.

        Raises:
            BadInput: an image or its intrinsics cannot be used.
        """
        shown = [
            self._show(image_1, intrinsics_1, POSE_FOCAL),
            self._show(image_2, intrinsics_2, POSE_FOCAL),
        ]
        self._expect(pose.format_yaw_pitch_roll(1.2, 3.4, 5.6))  # The longest of the four.
        prompts = [pose.RELEASED[kind] for kind in pose.KINDS]
        answers = self._ask(shown, prompts, "the pair of images")
        said = dict(zip(pose.KINDS, answers, strict=True))
        read = {kind: pose.parse_answer(kind, answer.text) for kind, answer in said.items()}
        return RelativePose(pose.PoseAnswer(**read), said)

    def objects(
        self,
        image: ImageLike,
        boxes: np.ndarray,
        question: str,
        intrinsics: Intrinsics | None = None,
    ) -> ObjectsAnswer:
        """Asks about objects in boxes.

        Args:
            image: what is asked about.
            boxes: left, top, right, bottom in pixels of the image, [N, 4].
            question: in which every `Region [i]` stands for a box, counted from 0.
            intrinsics: of the image as it is given; without them it is shown as it is, and lengths
                in the answer are worth less.

        Raises:
            BadInput: the image, its intrinsics, a box or the question cannot be used.
        """
        pixels = read_image(image)
        boxes = _rows(boxes, 4, "boxes are none (left, top, right, bottom)")
        prompt = objects.prompt(question, boxes, pixels.shape[1], pixels.shape[0])
        (said,) = self._ask([self._show(pixels, intrinsics)], [prompt], image_name(image))
        return ObjectsAnswer(
            prompt=prompt,
            metres=objects.parse_answer("distance_data", said.text),
            clock_hour=objects.parse_answer("direction", said.text),
            said=said,
        )

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
        cameras = cameras or [None] * len(images)
        shown = [self._show(i, camera) for i, camera in zip(images, cameras, strict=True)]
        (said,) = self._ask(shown, [prompt], "the conversation")
        return said

    def _depths(
        self, image: ImageLike, intrinsics: Intrinsics, points: np.ndarray
    ) -> list[PointAnswer]:
        """Answers for points of one image; see `depth`."""
        pixels = read_image(image)
        height, width = pixels.shape[:2]
        camera = as_camera(intrinsics, width, height)
        points = _rows(points, 2, "points are no pixels (x, y)")
        query = PointQuery(pixels, camera, points, image_name(image))
        return list(self.answer_points([query]))

    def _sample(self, query: PointQuery) -> Sample:
        shown, unified = unify(query.image, query.camera, self._focal_or(FOCAL), query.name)
        prompts = depth.prompts(query.camera, unified, query.points_xy)
        return Sample((shown,), tuple(map(Turn, prompts)), key=query.name)

    def _show(
        self, image: ImageLike, intrinsics: Intrinsics | None, focal: float = FOCAL
    ) -> np.ndarray:
        """The image at the focal length, without intrinsics as it is."""
        pixels = read_image(image)
        if intrinsics is None:
            return pixels
        camera = as_camera(intrinsics, pixels.shape[1], pixels.shape[0])
        return unify(pixels, camera, self._focal_or(focal), image_name(image))[0]

    def _focal_or(self, default: float) -> float:
        return default if self._focal is None else self._focal

    def _ask(
        self, shown: Sequence[np.ndarray], prompts: Sequence[str], key: str
    ) -> Iterator[ChatAnswer]:
        """What the model says to each prompt about the images, called `key` in errors, in order."""
        sample = Sample(tuple(shown), tuple(map(Turn, prompts)), key)
        for answer in self._decoder.answer([self._encoder.encode_prompts(sample)]):
            text = self._encoder.decode(answer.token_ids)
            yield ChatAnswer(text, answer.token_ids, answer.finished)

    def _expect(self, answer: str) -> None:
        """Tells the decoder what form the next answers have; its numbers do not matter."""
        self._decoder.expect(self._encoder.encode_answer(answer))

    def _read_point(self, answer: Answer) -> PointAnswer:
        text = self._encoder.decode(answer.token_ids)
        return PointAnswer(
            metres=depth.parse_answer(text),
            text=text,
            finished=answer.finished,
            log_probability=answer.log_probability,
            certainty=depth.certainty(*answer.distribution),
        )


def _rows(values: np.ndarray, length: int, complaint: str) -> np.ndarray:
    """Numbers as float64 [N, length]."""
    try:
        return np.asarray(values, np.float64).reshape(-1, length)
    except ValueError as error:
        raise BadInput(f"{complaint}, [N, {length}]: {error}.") from error
