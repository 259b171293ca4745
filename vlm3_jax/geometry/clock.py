"""Directions on the ground as hours of a clock."""

import math


def clock_hour(right: float, forward: float) -> int:
    """The hour towards which a direction points, 12 straight ahead and 3 to the right.

    SpatialRGPT's rule for OpenCV axes, which cuts and does not round: 12 is straight ahead only
    and up to 30 degrees to the left of it.

    Args:
        right: part of the direction along x.
        forward: part along z.
    """
    to_the_left = math.degrees(math.atan2(-right, forward)) % 360
    return 12 - math.floor(to_the_left / 30) or 12
