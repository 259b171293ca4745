"""Records of pairs and regions, made without files."""

import io

import numpy as np
from PIL import Image
from scipy.spatial.transform import Rotation

from tests.tiny import textured_image
from vlm3_jax.data.records import PairRecord, RegionRecord
from vlm3_jax.geometry.camera import Camera

CAMERAS = (Camera(50.0, 50.0, 32.0, 24.0, 64, 48), Camera(40.0, 40.0, 28.0, 20.0, 56, 40))
TURN = Rotation.from_euler("YXZ", [30.0, -10.0, 5.0], degrees=True)
MOVE = np.array([1.0, 0.0, 2.0])


def png(seed: int, width: int, height: int) -> bytes:
    """A textured picture."""
    file = io.BytesIO()
    Image.fromarray(textured_image(np.random.default_rng(seed), height, width)).save(file, "PNG")
    return file.getvalue()


def pair(matches: int = 12, scale_type: str = "metric") -> PairRecord:
    """Two views, the second turned and moved; match k is at x1 = k."""
    second = np.eye(4)
    second[:3, :3], second[:3, 3] = TURN.as_matrix(), MOVE
    k = np.arange(matches, dtype=np.float32)
    return PairRecord(
        key="toy/scene/0-1",
        images=tuple(png(i, c.width, c.height) for i, c in enumerate(CAMERAS)),
        cameras=CAMERAS,
        c2w=(np.eye(4), second),
        corr=np.stack([k, 2 * k, 3 * k, k + 1], axis=1),
        covisibility=(0.5, 0.5),
        covisibility_normalised=(0.5, 0.5),
        scale_type=scale_type,
        split="train",
        _depth_maps=((b"", 0.0), (b"", 0.0)),
    )


def region(camera: Camera | None = CAMERAS[0]) -> RegionRecord:
    """Four questions about three boxes of a 64x48 image, one of them without a category."""
    return RegionRecord(
        key="toy/scene/0",
        image=png(3, 64, 48),
        camera=camera,
        boxes_xyxy=np.array([[0, 0, 32, 24], [8, 6, 16, 12], [32, 24, 64, 48]], np.float32),
        questions=(
            "How wide is Region [1]?",
            "Is Region [2] behind Region [0]?",
            "Which is taller, Region [2] or Region [1]?",
            "What is Region [0]?",
        ),
        answers=("Region [1] is 1.50 meters wide.", "No.", "Region [1].", "A chair."),
        qa_types=("quantitative", "qualitative", "qualitative", ""),
        categories=("width_data", "behind_predicate", "tall_choice", ""),
        split="train",
    )
