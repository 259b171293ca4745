"""What the rounds of the image benchmark say together."""

from collections.abc import Sequence
from statistics import median
from typing import Any, NamedTuple

from launch.bench.images.sides import STAGES
from launch.bench.images.workers import Throughput
from launch.bench.tables import rate, spread


class Timed(NamedTuple):
    """What a side did in a case."""

    rounds: list[list[float]]
    """CPU seconds an image of each stage, a list a round."""
    largest_difference: int
    """From the exact backend, in levels."""
    share_different: float


def side_figures(timed: Timed) -> dict[str, Any]:
    """In plain JSON types."""
    return {
        "ms_an_image": {
            stage: 1e3 * median(stages[number] for stages in timed.rounds)
            for number, stage in enumerate(STAGES)
        },
        "images_per_s": rate(1, [sum(stages) for stages in timed.rounds]),
        "largest_difference": timed.largest_difference,
        "share_different": timed.share_different,
    }


def readable_case(title: str, sides: dict[str, dict[str, Any]]) -> str:
    """A table of a case, a line a side."""
    stages = "".join(f"{stage:>9}" for stage in STAGES)
    lines = [
        title,
        f"{'ms an image':14}{stages}{'all':>9}{'images/s, median (least to most)':>35}"
        f"{'times transformers':>20}{'levels from exact':>19}{'differing':>11}",
    ]
    theirs = sides["transformers"]["images_per_s"]["median"]
    for name, side in sides.items():
        times = side["ms_an_image"]
        cells = "".join(f"{times[stage]:>9.2f}" for stage in STAGES)
        lines.append(
            f"{name:14}{cells}{sum(times.values()):>9.2f}{spread(side['images_per_s'], 1):>35}"
            f"{side['images_per_s']['median'] / theirs:>20.2f}{side['largest_difference']:>19}"
            f"{side['share_different']:>11.2%}"
        )
    return "\n".join(lines)


def readable_workers(title: str, found: dict[str, Sequence[Throughput]]) -> str:
    """A table of images a second by number of workers, a column a side."""
    lines = [title, f"{'':10}" + "".join(f"{name:^36}" for name in found)]
    columns = f"{'clock':>12}{'CPU time':>12}{'first, s':>12}"
    lines.append(f"{'workers':10}" + columns * len(found))
    for several in zip(*found.values(), strict=True):
        cells = [
            f"{one.images_per_s:>12.1f}{one.images_per_cpu_s:>12.1f}{one.first_image_s:>12.2f}"
            for one in several
        ]
        lines.append(f"{several[0].workers:<10}" + "".join(cells))
    return "\n".join(lines)
