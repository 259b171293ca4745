"""What the two forms of TartanAir v2 share: environments, their split, and how far they reach.

Source: map-anything, wai_processing/download_scripts (TartanAir v2, wide baseline) and
mapanything/datasets/utils/data_splits.py.
"""

import re

import numpy as np

VALIDATION = frozenset({"EndofTheWorld", "HongKong", "WesternDesertTown"})
TEST = frozenset({"DesertGasStation", "OldScandinavia", "PolarSciFi", "Sewerage", "Supermarket"})
_FARTHEST = {"Prison": 80.0, "OldTown": 80.0, "ShoreCaves": 120.0, "OldBrickHouse": 35.0}
_FARTHEST_ELSEWHERE = 200.0
_SEASONS = re.compile("Autumn|Spring|SummerNight|WinterNight|Winter|Day|Night|Fall|Summer")


def geometric(environment: str) -> str:
    """An environment's name without season and time of day, in which only its light differs."""
    return _SEASONS.sub("", environment)


def split_of(environment: str) -> str:
    """The split of an environment; all its seasons are in one."""
    name = geometric(environment)
    return "validation" if name in VALIDATION else "test" if name in TEST else "train"


def without_sky(depth: np.ndarray, environment: str) -> np.ndarray:
    """Depth as float32 with 0 where the renderer put the sky: far beyond the scene.

    NaN and negative values are kept for the checks to find.
    """
    limit = _FARTHEST.get(geometric(environment), _FARTHEST_ELSEWHERE)
    depth = np.asarray(depth, np.float32)
    return np.where(depth >= limit, np.float32(0), depth)
