"""Reads the PLY files that are tested, by the format's own description (Turk, 1994)."""

import struct
from pathlib import Path

import numpy as np

_CODES = {"float": "f", "uchar": "B"}


def read_ply(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Positions [N, 3] and colours [N, 3] of a binary little-endian PLY of vertices only."""
    header, body = path.read_bytes().split(b"end_header\n", 1)
    lines = header.decode("ascii").splitlines()
    assert lines[:2] == ["ply", "format binary_little_endian 1.0"]
    lines = [line.split() for line in lines[2:] if not line.startswith("comment")]
    (element, name, count), *properties = lines
    assert (element, name) == ("element", "vertex")
    assert [p[0] for p in properties] == ["property"] * 6
    assert [p[2] for p in properties] == ["x", "y", "z", "red", "green", "blue"]
    layout = "<" + "".join(_CODES[p[1]] for p in properties)
    rows = list(struct.iter_unpack(layout, body))
    assert len(rows) == int(count)
    values = np.array(rows, np.float64).reshape(-1, 6)
    return values[:, :3], values[:, 3:].astype(np.uint8)
