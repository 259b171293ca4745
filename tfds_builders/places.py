"""Folders that datasets are written to: local ones, and those of gs://, s3:// and az:// by fsspec.

An object store has no folders, only names with slashes, and no rename; a file in it is there when
its upload is complete. So what is done differently for one is all in here.
"""

import contextlib
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import fsspec
from etils import epath

from vlm3_jax.errors import BadInput

_SCHEMES = ("gs", "s3", "az")
_BLOCK_BYTES = 1 << 24

for _scheme in _SCHEMES:
    # fsspec would remember a folder's content, which other processes and machines add to.
    fsspec.config.conf.setdefault(_scheme, {})["use_listings_cache"] = False


def is_remote(path: str | os.PathLike) -> bool:
    """Whether a path is in an object store."""
    return "://" in os.fspath(path)


def data_folder(name: str | os.PathLike) -> epath.Path:
    """The folder that `--data_dir` names; a local one as an absolute path.

    Raises:
        BadInput: it is in a store that is not known or cannot be reached.
    """
    if not is_remote(name):
        return epath.Path(Path(name).expanduser().absolute())
    scheme = os.fspath(name).partition("://")[0]
    if scheme not in _SCHEMES:
        known = ", ".join(f"{known}://" for known in _SCHEMES)
        raise BadInput(f"--data_dir={name}: {scheme}:// is not known; name a folder or {known}.")
    folder = epath.Path(name)
    with _reachable(folder):
        folder.exists()
    return folder


def make_folder(folder: epath.Path) -> list[epath.Path]:
    """Makes a folder that can be written to.

    Returns:
        It and those above it that were missing, innermost first; none in an object store.

    Raises:
        BadInput: it cannot be made or written to.
    """
    if is_remote(folder):
        probe = folder / "writable"
        with _reachable(folder):
            probe.write_bytes(b"")
            probe.unlink()
        return []
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"{folder} cannot be made ({error.strerror}); choose another.") from error
    return missing


@contextlib.contextmanager
def whole_file(path: epath.Path) -> Iterator[Path]:
    """Gives the name of a local file to write, which appears at `path` when it is complete.

    Nothing appears where the block raises, or leaves no file. Several processes may do the same.
    """
    if is_remote(path):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / path.name
            yield file
            if file.exists():
                _upload(file, path)
        return
    file = Path(path.with_name(f"{path.name}.{uuid.uuid4().hex}.partial"))
    try:
        yield file
        if file.exists():
            file.replace(path)
    finally:
        file.unlink(missing_ok=True)


def move(source: epath.Path, target: epath.Path, last: str, shop: epath.Path) -> None:
    """Puts a folder of files in another's place; a reader never meets a part of it.

    Args:
        source: what to move.
        target: where to; replaced if it is there.
        last: the file by which a reader knows that the rest is complete.
        shop: a folder beside the target for what it held.
    """
    if not is_remote(target):
        if target.exists():
            target.rename(shop / "old")
        source.rename(target)
        return
    (target / last).unlink(missing_ok=True)
    target.rmtree(missing_ok=True)
    names = sorted(path.name for path in source.iterdir() if path.name != last)
    store, _ = fsspec.core.url_to_fs(os.fspath(target))
    for group in (names, [last]):  # Copied inside the store, many at once.
        pairs = [(os.fspath(source / name), os.fspath(target / name)) for name in group]
        store.copy(*map(list, zip(*pairs, strict=True)))


def _upload(file: Path, path: epath.Path) -> None:
    with file.open("rb") as source, path.open("wb") as target:
        shutil.copyfileobj(source, target, _BLOCK_BYTES)


@contextlib.contextmanager
def _reachable(folder: epath.Path) -> Iterator[None]:
    """Each store has exceptions of its own for what a user can mend."""
    try:
        yield
    except ImportError as error:
        reason = f"its library is not installed ({error}); pip install it"
        raise BadInput(f"{folder} cannot be used: {' '.join(reason.split())}.") from error
    except Exception as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise BadInput(
            f"{folder} cannot be written to ({reason}); check its name and your rights."
        ) from error
