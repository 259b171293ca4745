"""ScanNet++'s depth.bin: the depth maps of an iPhone's video, compressed in one of two ways.

Either all of them as float32 metres in one zlib stream, or each on its own behind its length, as
uint16 millimetres (LZ4) or float32 metres (zlib), as iphone/prepare_iphone_data.py of the toolkit
(github.com/scannetpp/scannetpp) reads them.
"""

import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from tfds_builders.well_formed import well_formed
from vlm3_jax.errors import BadInput

HEIGHT, WIDTH = 192, 256
_MILLIMETRE = 0.001
_CHUNK = 2**22


@dataclass(frozen=True)
class Frame:
    """A depth map as the file has it; `data` is None where the file has none."""

    name: str
    data: bytes | None
    is_compressed: bool

    def depth(self) -> np.ndarray:
        """Depth along the optical axis, metres, float32 [192, 256]; 0 where there is none.

        Raises:
            BadInput: it is not in the file or damaged.
        """
        if self.data is None:
            raise BadInput(f"{self.name} is not in the file; fetch it anew or leave the frame out.")
        with well_formed(self.name):
            if not self.is_compressed:
                return np.frombuffer(self.data, "<f4").reshape(HEIGHT, WIDTH)
            try:
                data = pa.decompress(self.data, HEIGHT * WIDTH * 2, codec="lz4_raw", asbytes=True)
            except OSError:
                data = zlib.decompress(self.data, wbits=-zlib.MAX_WBITS)
                return np.frombuffer(data, "<f4").reshape(HEIGHT, WIDTH)
            millimetres = np.frombuffer(data, "<u2").reshape(HEIGHT, WIDTH)
            return (millimetres * _MILLIMETRE).astype(np.float32)


def read_frames(path: Path, numbers: Iterable[int]) -> Iterator[Frame]:
    """Reads frames by their ascending numbers, one at a time.

    Raises:
        BadInput: the file cannot be read, or its one stream is damaged.
    """
    with well_formed(str(path)), path.open("rb") as file:
        places = _places(file)
        frames = _streamed(file) if places is None else None
        position, data = -1, b""
        for number in numbers:
            name = f"{path}, frame {number}"
            if frames is None:
                yield Frame(name, _at(file, places, number), is_compressed=True)
                continue
            while position < number and data is not None:
                position, data = position + 1, next(frames, None)
            yield Frame(name, data, is_compressed=False)


def _places(file) -> list[tuple[int, int]] | None:
    """Offset and size of each frame; None where the file is one stream."""
    places, offset = [], 0
    end = file.seek(0, 2)
    while offset < end:
        file.seek(offset)
        header = file.read(4)
        if len(header) < 4:
            return None
        (size,) = struct.unpack("<I", header)
        if offset + 4 + size > end or not size:
            return None
        places.append((offset + 4, size))
        offset += 4 + size
    return places


def _at(file, places: list[tuple[int, int]], number: int) -> bytes | None:
    if number >= len(places):
        return None
    offset, size = places[number]
    file.seek(offset)
    return file.read(size)


def _streamed(file) -> Iterator[bytes]:
    file.seek(0)
    stream, pending = zlib.decompressobj(wbits=-zlib.MAX_WBITS), b""
    size = HEIGHT * WIDTH * 4
    while chunk := file.read(_CHUNK):
        while chunk:
            pending += stream.decompress(chunk, _CHUNK)
            chunk = stream.unconsumed_tail
            while len(pending) >= size:
                yield pending[:size]
                pending = pending[size:]
    if pending or not stream.eof:
        raise EOFError("its stream ends early")
