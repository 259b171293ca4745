"""Cameras and depth maps as MVSNet writes them."""

from pathlib import Path

import numpy as np

from vlm3_jax.errors import BadInput


def read_cam(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Reads a `_cam.txt`: the world-to-camera matrix [4, 4], and K [3, 3]."""
    lines = [line.split() for line in path.read_text(errors="replace").splitlines()]
    try:
        w2c = np.array(lines[1:5], np.float64).reshape(4, 4)
        k = np.array(lines[7:10], np.float64).reshape(3, 3)
    except ValueError as error:
        raise BadInput(
            f"{path} is no camera of MVSNet: the matrices are not on lines 2 to 5 and 8 to 10;"
            " fetch it anew."
        ) from error
    return w2c, k


def read_pfm(path: Path) -> np.ndarray:
    """Reads a PFM of one channel, whose rows lie from bottom to top, as float32 [H, W]."""
    with path.open("rb") as file:
        kind, size, scale = (file.readline(100).strip() for _ in range(3))
        try:
            width, height = map(int, size.split())
            order = "<f4" if float(scale) < 0 else ">f4"
            rows = np.frombuffer(file.read(), order).reshape(height, width)
        except ValueError as error:
            raise BadInput(f"{path} is no whole PFM ({error}); fetch it anew.") from error
    if kind != b"Pf":
        raise BadInput(f"{path} is no PFM of one channel; fetch it anew.")
    return rows[::-1].astype(np.float32)
