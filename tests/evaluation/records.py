"""Records without a dataset, and a decoder that says what a test wants; a list is a source."""

import io
from dataclasses import replace

import numpy as np
from PIL import Image
from scipy.spatial.transform import Rotation

from tests.data.sampling.records import CAMERAS, pair, png, region
from tests.tiny import textured_image
from vlm3_jax.data.records import DepthRecord, PairRecord, Record, RegionRecord
from vlm3_jax.data.sampling import (
    CorrespondenceSampling,
    DepthSampling,
    ObjectsSampling,
    PoseSampling,
    Samplings,
)
from vlm3_jax.decoding.runner import Answer
from vlm3_jax.evaluation.config import Benchmark, EvalConfig
from vlm3_jax.geometry.camera import Camera

SMALL = Samplings(
    depth=DepthSampling(focal=100.0, questions_per_image=3),
    correspondence=CorrespondenceSampling(longer_side=64, questions_per_pair=4),
    pose=PoseSampling(focal=45.0),
    objects=ObjectsSampling(focal=45.0, questions_per_image=None),
)


def settings(task: str = "depth", swap_images: bool = False, **changes) -> EvalConfig:
    """An evaluation with one benchmark, `b`."""
    benchmark = Benchmark(**({"task": task, "dataset": "made", "sampling": SMALL} | changes))
    return EvalConfig({"b": benchmark}, swap_images=swap_images)


def make_records(count: int, points: int = 5) -> list[DepthRecord]:
    """Views of different sizes and focal lengths."""
    rng = np.random.default_rng(2)
    return [_make_record(rng, i, points) for i in range(count)]


def _make_record(rng: np.random.Generator, number: int, points: int) -> DepthRecord:
    width, height = 64 + 32 * (number % 3), 64
    file = io.BytesIO()
    Image.fromarray(textured_image(rng, height, width)).save(file, format="PNG")
    return DepthRecord(
        key=f"made/room/{number}",
        image=file.getvalue(),
        camera=Camera(100.0 + 10 * number, 100.0, width / 2, height / 2, width, height),
        points_xy=rng.uniform(0, (width, height), (points, 2)).astype(np.float32),
        depth_m=rng.uniform(0.5, 9, points).astype(np.float32),
    )


def make_pairs(count: int) -> list[PairRecord]:
    """Pairs that look and move differently; the last one has no metric scale."""
    rng = np.random.default_rng(4)
    return [
        replace(
            pair(),
            key=f"made/scene/{i}",
            images=tuple(png(2 * i + side, c.width, c.height) for side, c in enumerate(CAMERAS)),
            c2w=(np.eye(4), _pose(rng)),
            scale_type="metric" if i < count - 1 else "colmap",
        )
        for i in range(count)
    ]


def _pose(rng: np.random.Generator) -> np.ndarray:
    c2w = np.eye(4)
    c2w[:3, :3] = Rotation.from_euler("YXZ", rng.uniform(-40, 40, 3), degrees=True).as_matrix()
    c2w[:3, 3] = rng.uniform(-2, 2, 3)
    return c2w


def make_regions(count: int) -> list[RegionRecord]:
    """Images with the same four questions, one of them without a category."""
    return [replace(region(), key=f"made/image/{i}", image=png(i, 64, 48)) for i in range(count)]


def make(task: str, count: int) -> list[Record]:
    """Records for a task."""
    makers = {"depth": make_records, "objects": make_regions}
    return makers.get(task, make_pairs)(count)


class ScriptedDecoder:
    """Gives texts as answers, in order, and keeps the groups it is given."""

    def __init__(self, tokenizer, texts):
        self._tokenizer, self._texts = tokenizer, iter(texts)
        self.groups = []

    def expect(self, answer):
        pass

    def answer(self, groups):
        for group in groups:
            self.groups.append(group)
            for _ in group:
                ids = self._tokenizer(next(self._texts), add_special_tokens=False)["input_ids"]
                yield Answer(tuple(ids), finished=True, log_probability=-1.0)
