"""Folders that appear whole or not at all."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import jax
from jax.experimental import multihost_utils

from vlm3_jax.errors import BadInput


def require_new(dst: str | Path) -> Path:
    """Checks that `dst` may be written.

    Raises:
        BadInput: it exists and is no empty folder, or its parent cannot be made.
    """
    dst = Path(dst).absolute()
    if dst.exists() and not dst.is_dir():
        raise BadInput(f"{dst} is a file: give a new folder.")
    if dst.exists() and any(dst.iterdir()):
        raise BadInput(f"{dst} exists and is not empty: give a new folder or remove it.")
    try:
        dst.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"{dst.parent} cannot be made ({error.strerror}): give another.") from error
    return dst


@contextmanager
def new_folder(dst: str | Path) -> Iterator[Path]:
    """Yields an empty folder beside `dst` that becomes `dst` when the block ends without error.

    In a run of several processes all enter the block with the same shared folder; the first one
    makes and renames it. What a killed run left beside `dst` is removed.

    Raises:
        BadInput: as `require_new`.
    """
    dst = require_new(dst)
    partial = dst.with_name(dst.name + ".partial")
    first = jax.process_index() == 0
    if first:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
    _barrier(f"made {partial}")
    try:
        yield partial
    except BaseException:
        if first:
            shutil.rmtree(partial, ignore_errors=True)
        raise
    _barrier(f"filled {partial}")
    if first:
        partial.rename(dst)
    _barrier(f"renamed {partial}")


def _barrier(name: str) -> None:
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(name)
