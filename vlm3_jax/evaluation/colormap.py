"""Numbers as colours."""

import numpy as np

# Turbo, (c) Google LLC, Apache-2.0: map by Anton Mikhailov, this polynomial by Ruofei Du
# (gist.github.com/mikhailov-work/0d177465a8151eb6ede1768d51d476c7). Powers 0 to 5 of red, green,
# blue.
_TURBO = np.array(
    [
        [0.13572138, 0.09140261, 0.10667330],
        [4.61539260, 2.19418839, 12.64194608],
        [-42.66032258, 4.84296658, -60.58204836],
        [132.13108234, -14.18503333, 110.36276771],
        [-152.94239396, 4.27729857, -89.90310912],
        [59.28637943, 2.82956604, 27.34824973],
    ]
)

_NO_VALUE = (128, 128, 128)


def turbo(values: np.ndarray) -> np.ndarray:
    """Colours of values [...] in 0 (dark blue) to 1 (dark red), clipped to that: uint8 [..., 3]."""
    values = np.clip(values, 0, 1)
    colours = np.polynomial.polynomial.polyval(values, _TURBO)  # [3, ...]
    return np.rint(255 * np.clip(np.moveaxis(colours, 0, -1), 0, 1)).astype(np.uint8)


def paint(levels: np.ndarray) -> np.ndarray:
    """As `turbo`, and grey where there is no value (NaN): uint8 [..., 3]."""
    colours = np.full((*levels.shape, 3), _NO_VALUE, np.uint8)
    known = np.isfinite(levels)
    colours[known] = turbo(levels[known])
    return colours


def depth_levels(depth: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    """Where depths lie between two by the logarithm, for `turbo`: the nearest 1, the farthest 0.

    Args:
        depth: of any shape, NaN where there is none; so is its level.
        limits: the nearest and the farthest depth, positive.
    """
    near, far = np.log(limits)
    return 1 - (np.log(depth) - near) / max(far - near, 1e-9)
