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


def turbo(values: np.ndarray) -> np.ndarray:
    """Colours of values [...] in 0 (dark blue) to 1 (dark red), clipped to that: uint8 [..., 3]."""
    values = np.clip(values, 0, 1)
    colours = np.polynomial.polynomial.polyval(values, _TURBO)  # [3, ...]
    return np.rint(255 * np.clip(np.moveaxis(colours, 0, -1), 0, 1)).astype(np.uint8)
