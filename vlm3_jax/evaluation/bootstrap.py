"""Confidence intervals of metrics, by resampling images."""

from collections.abc import Callable, Hashable, Sequence

import numpy as np

from vlm3_jax.errors import BadInput


def bootstrap_interval(
    values: np.ndarray | Sequence[float],
    images: Sequence[Hashable],
    statistic: Callable[[np.ndarray], float] = np.mean,
    *,
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile interval of a metric over questions, as if other images had been drawn.

    Whole images are drawn with replacement, with all questions about them: questions about one
    image are not independent, and counting them as if they were makes intervals too narrow.

    Args:
        values: what the metric is computed from, a row a question, [N] or [N, K].
        images: the image (or pair) of each question, N.
        statistic: the metric, from drawn rows of `values`; it must not fail on any draw.
        level: share of the draws inside the interval.
        resamples: number of draws.
        seed: of the draws; the same seed and images give the same interval.

    Returns:
        The interval's ends.

    Raises:
        BadInput: there is nothing to draw from.
    """
    values = np.asarray(values)
    if len(values) != len(images):
        raise ValueError(f"{len(values)} values of {len(images)} images")
    if not len(values):
        raise BadInput("there are no answers to take an interval of: check the dataset.")
    rows: dict[Hashable, list[int]] = {}
    for row, image in enumerate(images):
        rows.setdefault(image, []).append(row)
    of_image = [np.array(group) for group in rows.values()]
    rng = np.random.default_rng(seed)
    drawn = [
        statistic(values[np.concatenate([of_image[image] for image in draw])])
        for draw in rng.integers(len(of_image), size=(resamples, len(of_image)))
    ]
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
