"""Padded sizes: few enough that programs are reused, close enough that little is wasted."""


def bucket(size: int, smallest: int) -> int:
    """The least padded size that holds `size`: a power of two times 16 to 31 sixteenths.

    At most a sixteenth is padding, and a doubling of the size has sixteen programs.

    Args:
        size: what must fit.
        smallest: a power of two; every bucket is a multiple of it.
    """
    step = max(smallest, 1 << max(size.bit_length() - 5, 0))
    return max(-(-size // step), 1) * step
