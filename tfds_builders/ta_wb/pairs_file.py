"""TA-WB's files: which pairs there are, their pictures, depth maps and cameras."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from tfds_builders.well_formed import read_json, read_npz, well_formed
from vlm3_jax.errors import BadInput


def read_index(folder: Path) -> dict[int, tuple[str, int]]:
    """Reads where each pair of a split is: its HDF5 file, and its place in it.

    Raises:
        BadInput: a file is no such index.
    """
    places: dict[int, tuple[str, int]] = {}
    for path in sorted(folder.glob("*.json")):
        with well_formed(str(path)):
            for pair, place in read_json(path).items():
                if isinstance(place, dict):
                    place = place["file_name"], place["file_index"]
                name, number = place
                if Path(name).name != name:
                    raise BadInput(f"{path}: {name!r} is no file beside it; fetch it anew.")
                places[int(pair)] = name, int(number)
    return places


def read_views(path: Path, place: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Reads both sides of a pair: picture, uint8 [H, W, 3], and depth, float32 [H, W].

    Raises:
        BadInput: the file cannot be read, or does not hold them.
    """
    views = []
    with well_formed(str(path)), h5py.File(path) as file:
        for side in "01":
            image, depth = file[f"img{side}"][place], file[f"depth{side}"][place]
            if image.ndim != 3 or image.shape[2] != 3 or not _is_byte(image):
                raise BadInput(f"{path}: img{side} has no pictures in colours; fetch it anew.")
            views.append((image.astype(np.uint8), np.squeeze(depth).astype(np.float32)))
    return views


@lru_cache(maxsize=2)
def read_cameras(folder: Path) -> dict[str, np.ndarray]:
    """Reads poses and intrinsics of all pairs of a split, once a process."""
    names = (f"cam{side}_{kind}" for side in "12" for kind in ("extrinsics", "intrinsics"))
    return {name: read_npz(folder / f"{name}.npz", "arr_0") for name in names}


def read_environments(path: Path) -> list[tuple[str, str]]:
    """Reads the environments of both sides of all pairs of a split."""
    with well_formed(str(path)):
        table: dict[str, Any] = read_json(path)
        columns = [table["columns"].index(f"img{side}_env") for side in "12"]
        return [tuple(str(row[column]) for column in columns) for row in table["data"]]


def _is_byte(image: np.ndarray) -> bool:
    return image.dtype == np.uint8 or bool(((image >= 0) & (image <= 255)).all())
