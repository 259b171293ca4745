"""How much of a scene two views share, as the WAI format of map-anything defines it.

Depth maps are resized to a long side of 224 pixels by taking the nearest value. A pixel of view i
counts as seen in view j when it falls into the image in front of the camera and the depth there
differs by less than a tolerance. The score is its share of all pixels, those without depth among
them, and has a direction. Source: map-anything, wai_processing/scripts/covisibility.py and
mapanything/datasets/base/base_dataset.py.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from vlm3_jax.geometry.camera import Camera
from vlm3_jax.geometry.correspondence import reproject

LONG_SIDE = 224
NEAREST_Z = 0.04
"""Points closer to the other camera are not seen, in the unit of the scene."""


@dataclass(frozen=True)
class Tolerance:
    """How far two depths of one surface may differ: `absolute + relative z + ln 2 temperature`.

    Its lengths are in the unit of the scene.
    """

    absolute: float
    relative: float
    temperature: float

    def of(self, z: np.ndarray) -> np.ndarray:
        """The largest difference at depths z."""
        return self.absolute + self.relative * z + math.log(2) * self.temperature


GROUND_TRUTH = Tolerance(0.1, 0.005, 0.1)
"""Of measured or rendered depth."""
MULTI_VIEW_STEREO = Tolerance(0.5, 0.005, 0.5)
"""Of depth by multi-view stereo: BlendedMVS, MPSD, and MVSAnywhere's of DL3DV."""
MOGE = Tolerance(0.4, 0.02, 0.4)
"""Of MoGe's depth, Spring's second stage."""


@dataclass(frozen=True, eq=False)
class PosedDepth:
    """A view without its picture.

    Attributes:
        depth: along the optical axis, [H, W]; 0 where there is none.
        camera: its intrinsics.
        c2w: camera-to-world pose, [4, 4].
    """

    depth: np.ndarray
    camera: Camera
    c2w: np.ndarray

    def resized(self, width: int, height: int) -> "PosedDepth":
        """Takes the nearest depths, as torch's interpolation does, and scales the intrinsics."""
        full_height, full_width = self.depth.shape
        rows = np.arange(height) * full_height // height
        columns = np.arange(width) * full_width // width
        scale_x, scale_y = width / self.camera.width, height / self.camera.height
        camera = Camera(
            self.camera.fx * scale_x,
            self.camera.fy * scale_y,
            self.camera.cx * scale_x,
            self.camera.cy * scale_y,
            width,
            height,
        )
        return PosedDepth(self.depth[np.ix_(rows, columns)], camera, self.c2w)


def covisibility(
    views: Iterable[PosedDepth],
    tolerance: Tolerance = GROUND_TRUTH,
    size: tuple[int, int] | None = None,
) -> np.ndarray:
    """Scores every ordered pair of views.

    Args:
        views: of one scene; each is resized as it comes.
        tolerance: by the source of the depth maps.
        size: width and height of the resized depth maps, where it is not a long side of 224.

    Returns:
        float32 [N, N]: share of the pixels of view i that view j sees. The diagonal is the share of
        pixels with depth.
    """
    resized = [view.resized(*(size or _size(view.depth))) for view in views]
    scores = [[_score(one, two, tolerance) for two in resized] for one in resized]
    return np.array(scores, np.float32).reshape(len(resized), len(resized))


def normalise(scores: np.ndarray) -> np.ndarray:
    """Makes scores comparable between views whose depth maps have holes.

    Args:
        scores: of `covisibility`, [N, N].

    Returns:
        float32 [N, N]: the mean of both directions divided by view i's score with itself; 0 on the
        diagonal. map-anything chooses neighbours by it.
    """
    mean = (scores + scores.T) / 2
    normalised = mean / (np.diag(scores)[:, None] + 1e-8)
    np.fill_diagonal(normalised, 0)
    return normalised.astype(np.float32)


def sample_pairs(
    normalised: np.ndarray,
    rng: np.random.Generator,
    count: int | None = None,
    threshold: float = 0.25,
) -> list[tuple[int, int]]:
    """Draws pairs of views that share enough.

    Args:
        normalised: scores of `normalise`, [N, N].
        rng: decides which pairs are drawn, their order, and which of the two views comes first.
        count: most pairs drawn; None for all.
        threshold: both views' scores are above it.

    Returns:
        Pairs of different views; two views come together at most once.
    """
    enough = np.minimum(normalised, normalised.T) > threshold
    pairs = np.argwhere(np.triu(enough, 1))
    pairs = rng.permutation(pairs)[:count]
    swapped = rng.random(len(pairs)) < 0.5
    pairs[swapped] = pairs[swapped, ::-1]
    return [(int(i), int(j)) for i, j in pairs]


def _size(depth: np.ndarray) -> tuple[int, int]:
    height, width = depth.shape
    if height > width:
        return int(width * LONG_SIDE / height), LONG_SIDE
    return LONG_SIDE, int(height * LONG_SIDE / width)


def _score(one: PosedDepth, two: PosedDepth, tolerance: Tolerance) -> float:
    rows, columns = np.nonzero(one.depth > 0)
    xy = np.stack([columns, rows], -1)
    xy, z = reproject(xy, one.depth[rows, columns], one.camera, two.camera, one.c2w, two.c2w)
    # Not by rounding alone: the first row and column of a view see themselves.
    inside = np.all((xy > -1e-6) & (xy < [two.camera.width, two.camera.height]), axis=-1)
    inside &= z > NEAREST_Z
    xy, z = xy[inside], z[inside]
    last = [two.camera.width - 1, two.camera.height - 1]
    column, row = np.rint(np.clip(xy, 0, last)).astype(np.int64).T
    # A pixel without depth has depth 0 here and so sees what is nearer than the tolerance: WAI's.
    seen = np.abs(z - two.depth[row, column]) < tolerance.of(z)
    return float(seen.sum() / one.depth.size)
