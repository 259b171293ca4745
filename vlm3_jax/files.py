"""Writing files so that a reader never meets half of them."""

import errno
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vlm3_jax.errors import BadInput

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def check_folder(folder: str | Path, flag: str) -> Path:
    """Checks that results can be written to a folder, without making it yet.

    Args:
        folder: where.
        flag: the flag that named it, for the error.

    Raises:
        BadInput: it is a file, or may not be made or written to.
    """
    folder = Path(folder)
    nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not nearest.is_dir():
        raise BadInput(f"{flag}={folder}: {nearest} is a file; name a folder.")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise BadInput(f"{flag}={folder}: {nearest} is not writable; name another folder.")
    return folder


def write_whole(path: Path, data: bytes) -> None:
    """Writes a file beside its place and moves it there when it is complete; makes its folder.

    Raises:
        BadInput: there is no room for it.
    """
    write_together(path.parent, {path.name: data})


def write_together(folder: Path, files: Mapping[str, bytes]) -> None:
    """Writes files to a folder, which is made; none is there before all of them are complete.

    Args:
        folder: where to.
        files: contents by name, moved to their places in this order.

    Raises:
        BadInput: there is no room for them.
    """
    partials = {name: folder / f"{name}.partial" for name in files}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            partials[name].write_bytes(data)
    except OSError as error:
        for partial in partials.values():
            partial.unlink(missing_ok=True)
        if error.errno not in _NO_ROOM:
            raise
        size = sum(map(len, files.values()))
        raise BadInput(
            f"{folder} has no room for {', '.join(files)} of {size:,} bytes"
            f" ({error.strerror}): free some, or name another folder."
        ) from error
    for name, partial in partials.items():
        os.replace(partial, folder / name)


def append(path: Path, values: list[Any], size: int) -> int:
    """Adds JSON values, one a line, to a file, which is made with its folder.

    Args:
        path: the file.
        values: what to add.
        size: bytes of the file that are good; what follows them was cut off and is overwritten.

    Returns:
        Its size afterwards.

    Raises:
        BadInput: there is no room.
    """
    data = json_lines(values)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("r+b" if path.exists() else "wb") as file:
            file.truncate(size)
            file.seek(size)
            file.write(data)
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        raise BadInput(
            f"{path} has no room for another line ({error.strerror}): free some; the same command"
            " goes on."
        ) from error
    return size + len(data)


def json_bytes(value: Any) -> bytes:
    """Indented JSON."""
    return (json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def json_lines(values: list[Any]) -> bytes:
    """One JSON value a line."""
    lines = (json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n" for value in values)
    return "".join(lines).encode()
