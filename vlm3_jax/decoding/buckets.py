"""Padded sizes: few enough that programs are reused, close enough that little is wasted."""


def bucket(size: int, smallest: int) -> int:
    """The least padded size that holds `size`: a power of two times 8 to 15 eighths.

    At most an eighth is padding, and a doubling of the size has eight programs.

    Args:
        size: what must fit.
        smallest: a power of two; every bucket is a multiple of it.
    """
    step = max(smallest, 1 << max(size.bit_length() - 4, 0))
    return max(-(-size // step), 1) * step
