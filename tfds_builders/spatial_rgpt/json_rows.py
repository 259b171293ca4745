"""Rows of a JSON file that may be too large to load: a list of objects, or one object a line."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vlm3_jax.errors import BadInput

_CHUNK = 2**20
_LONGEST_ROW = 2**26


@dataclass(frozen=True)
class Place:
    """Where a row is: its number, from 0, its first byte, and how many it has."""

    number: int
    offset: int
    length: int


def rows(path: Path) -> Iterator[tuple[Place, dict[str, Any]]]:
    """Reads row by row.

    Raises:
        BadInput: the file is not JSON; the message tells from which byte on.
    """
    decoder = json.JSONDecoder()
    offset, number, buffer = 0, 0, ""
    # As Latin-1 each byte is a character, so that places in the text are places in the file. Its
    # brackets and quotes are those of UTF-8; the texts themselves are wrong here.
    with path.open(encoding="latin-1", newline="") as file:
        while True:
            rest = buffer.lstrip(" \t\r\n,[]")
            offset += len(buffer) - len(rest)
            buffer = rest
            try:
                if not buffer.startswith("{") and buffer:
                    raise BadInput(f"{path} is no list of objects at byte {offset}; fetch it anew.")
                value, end = decoder.raw_decode(buffer)
            except json.JSONDecodeError as error:
                chunk = file.read(_CHUNK)
                if chunk and len(buffer) < _LONGEST_ROW:
                    buffer += chunk
                    continue
                if not buffer:
                    return
                raise BadInput(
                    f"{path} is not JSON from byte {offset} on ({error.msg}); fetch it anew."
                ) from error
            yield Place(number, offset, end), value
            offset, number, buffer = offset + end, number + 1, buffer[end:]


def read_row(path: Path, place: Place) -> dict[str, Any]:
    """Reads one row."""
    with path.open("rb") as file:
        file.seek(place.offset)
        return json.loads(file.read(place.length))
