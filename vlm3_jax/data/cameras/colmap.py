"""Cameras of a COLMAP reconstruction: `cameras` and `images`, as `.bin` or `.txt`.

The format is described in COLMAP's doc/format.rst and doc/cameras.rst; camera models and their ids
are those of its src/colmap/sensor/models.h.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from vlm3_jax.data.cameras.listed import ListedCamera
from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.intrinsics import from_corner


class _Model(NamedTuple):
    name: str
    num_parameters: int
    num_focal: int | None
    """Focal lengths among the first parameters; None where it is no pinhole even undistorted."""


# By their ids. The parameters are focal lengths, principal point, distortion.
_MODELS = (
    _Model("SIMPLE_PINHOLE", 3, 1),
    _Model("PINHOLE", 4, 2),
    _Model("SIMPLE_RADIAL", 4, 1),
    _Model("RADIAL", 5, 1),
    _Model("OPENCV", 8, 2),
    _Model("OPENCV_FISHEYE", 8, None),
    _Model("FULL_OPENCV", 12, 2),
    _Model("FOV", 5, None),
    _Model("SIMPLE_RADIAL_FISHEYE", 4, None),
    _Model("RADIAL_FISHEYE", 5, None),
    _Model("THIN_PRISM_FISHEYE", 12, None),
    _Model("RAD_TAN_THIN_PRISM_FISHEYE", 16, None),
    _Model("SIMPLE_DIVISION", 4, 1),
    _Model("DIVISION", 5, 2),
    _Model("SIMPLE_FISHEYE", 3, None),
    _Model("FISHEYE", 4, None),
    _Model("EUCM", 6, None),
    _Model("EQUIRECTANGULAR", 2, None),
)
_BY_NAME = {model.name: model for model in _MODELS}


class _Camera(NamedTuple):
    id: int
    model: _Model
    width: int
    height: int
    parameters: tuple[float, ...]


def read(folder: Path) -> dict[str, ListedCamera]:
    """Reads the cameras of a reconstruction by the names of its images.

    Where both kinds of files are there, the binary ones are read, as COLMAP does.

    Raises:
        BadInput: the files are not there, or are none of COLMAP's.
    """
    for suffix in (".bin", ".txt"):
        cameras, images = folder / f"cameras{suffix}", folder / f"images{suffix}"
        if cameras.is_file() and images.is_file():
            break
    else:
        raise BadInput(
            f"--cameras={folder} holds neither cameras.bin and images.bin nor cameras.txt and"
            " images.txt: name the folder of a COLMAP reconstruction, often sparse/0, or a"
            " transforms.json of nerfstudio."
        )
    binary = suffix == ".bin"
    parsed = _parsed(_binary_cameras if binary else _text_cameras, cameras)
    known = {camera.id: _listed(camera, cameras) for camera in parsed}
    parsed = _parsed(_binary_images if binary else _text_images, images)
    return {name: _known(known, camera, name, images) for name, camera in parsed}


def _parsed(reader, path: Path) -> list:
    try:
        return list(reader(path))
    except (OSError, ValueError, IndexError, KeyError, struct.error) as error:
        raise BadInput(
            f"{path} is no whole file of COLMAP ({error!r}): export it again."
        ) from error


def _known(known: dict[int, ListedCamera], camera: int, image: str, path: Path) -> ListedCamera:
    if camera not in known:
        raise BadInput(f"{path}: {image} has camera {camera}, which is not listed: export both.")
    return known[camera]


def _listed(camera: _Camera, path: Path) -> ListedCamera:
    model, values = camera.model, camera.parameters
    source = f"{path}, camera {camera.id}"
    if model.num_focal is None:
        return ListedCamera(None, source, lens=f"its model is {model.name}")
    fx, fy = values[0], values[model.num_focal - 1]
    cx, cy, *distortion = values[model.num_focal :]
    lens = f"{model.name} with distortion {distortion}" if any(distortion) else None
    return ListedCamera(
        from_corner(fx, fy, cx, cy, camera.width, camera.height), source=source, lens=lens
    )


def _text_cameras(path: Path) -> Iterator[_Camera]:
    for line in path.read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            number, name, width, height, *parameters = line.split()
            model = _BY_NAME[name]
            if len(parameters) != model.num_parameters:
                raise ValueError(f"camera {number} has {len(parameters)} parameters")
            yield _Camera(
                int(number), model, int(width), int(height), tuple(map(float, parameters))
            )


def _text_images(path: Path) -> Iterator[tuple[str, int]]:
    """Name and camera of each image."""
    lines = iter(path.read_text().splitlines())
    for line in lines:
        if line.strip() and not line.startswith("#"):
            fields = line.split(maxsplit=9)  # Id, quaternion, translation, camera, name.
            yield fields[9].strip(), int(fields[8])
            next(lines, None)  # Its points, often an empty line.


def _binary_cameras(path: Path) -> Iterator[_Camera]:
    data = path.read_bytes()
    (count,), offset = struct.unpack_from("<Q", data), 8
    for _ in range(count):
        number, model, width, height = struct.unpack_from("<IiQQ", data, offset)
        offset += 24
        if not 0 <= model < len(_MODELS):
            raise ValueError(f"camera {number} has the unknown model {model}")
        layout = f"<{_MODELS[model].num_parameters}d"
        parameters = struct.unpack_from(layout, data, offset)
        offset += struct.calcsize(layout)
        yield _Camera(number, _MODELS[model], width, height, parameters)


def _binary_images(path: Path) -> Iterator[tuple[str, int]]:
    """Name and camera of each image."""
    data = path.read_bytes()
    (count,), offset = struct.unpack_from("<Q", data), 8
    for _ in range(count):
        # Id, quaternion, translation, camera; then the name; then 24 bytes for each point.
        *_, camera = struct.unpack_from("<I7dI", data, offset)
        end = data.index(b"\0", offset + 64)
        name = data[offset + 64 : end].decode()
        (num_points,) = struct.unpack_from("<Q", data, end + 1)
        offset = end + 9 + 24 * num_points
        yield name, camera
    if offset > len(data):
        raise ValueError("it ends early")
