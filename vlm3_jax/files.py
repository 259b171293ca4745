"""Writing files so that a reader never meets half of them."""

import json
import os
from pathlib import Path
from typing import Any

from vlm3_jax.errors import BadInput


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
    """Writes a file beside its place and moves it there when it is complete; makes its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(data)
    os.replace(partial, path)


def json_bytes(value: Any) -> bytes:
    """Indented JSON."""
    return (json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def json_lines(values: list[Any]) -> bytes:
    """One JSON value a line."""
    lines = (json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n" for value in values)
    return "".join(lines).encode()
