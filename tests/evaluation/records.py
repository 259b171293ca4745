"""Depth records without a dataset, and a decoder that says what a test wants."""

import io

import numpy as np
from PIL import Image

from tests.tiny import textured_image
from vlm3_jax.data.records import DepthRecord
from vlm3_jax.decoding.runner import Answer
from vlm3_jax.geometry.camera import Camera


def make_records(count: int, points: int = 5) -> list[DepthRecord]:
    """Views of different sizes and focal lengths; a list serves as a source."""
    rng = np.random.default_rng(2)
    return [_make_record(rng, i, points) for i in range(count)]


def _make_record(rng: np.random.Generator, number: int, points: int) -> DepthRecord:
    width, height = 64 + 32 * (number % 3), 64
    png = io.BytesIO()
    Image.fromarray(textured_image(rng, height, width)).save(png, format="PNG")
    return DepthRecord(
        key=f"made/room/{number}",
        image=png.getvalue(),
        camera=Camera(100.0 + 10 * number, 100.0, width / 2, height / 2, width, height),
        points_xy=rng.uniform(0, (width, height), (points, 2)).astype(np.float32),
        depth_m=rng.uniform(0.5, 9, points).astype(np.float32),
    )


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
