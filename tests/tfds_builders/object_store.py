"""An object store in a folder, which importing this module makes of s3:// for this process.

Like a real one it has no folders, no rename, and an object is there when its upload is complete.
"""

import io
import os
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import fsspec

from tests.tfds_builders import counting


def root() -> Path:
    """The folder, which the test names."""
    return Path(os.environ["TEST_OBJECT_STORE"])


class ObjectStore(fsspec.AbstractFileSystem):
    """Every object is a file whose name is its quoted key."""

    protocol = "s3"

    def ls(self, path: str, detail: bool = True, **_: Any) -> list:
        path = self._strip_protocol(path)
        found = {}
        for file in root().iterdir():
            key = unquote(file.name)
            if key == path:
                found[key] = {"name": key, "size": file.stat().st_size, "type": "file"}
            elif key.startswith(f"{path}/"):
                first, _, below = key[len(path) + 1 :].partition("/")
                kind = "directory" if below else "file"
                found[f"{path}/{first}"] = {"name": f"{path}/{first}", "size": 0, "type": kind}
        if not found:
            raise FileNotFoundError(path)
        return list(found.values()) if detail else list(found)

    def _open(self, path: str, mode: str = "rb", **_: Any) -> Any:
        return self._file(path).open("rb") if mode == "rb" else _Upload(self._file(path))

    def rm(self, path: str, recursive: bool = False, **_: Any) -> None:
        if recursive:
            for key in self.find(path):
                self._file(key).unlink()
        else:
            self._file(path).unlink()

    def cp_file(self, path1: str, path2: str, **_: Any) -> None:
        with _Upload(self._file(path2)) as upload:
            upload.write(self._file(path1).read_bytes())

    def mv(self, *_: Any, **__: Any) -> None:
        raise NotImplementedError("An object cannot be renamed.")

    def _file(self, path: str) -> Path:
        return root() / quote(self._strip_protocol(path), safe="")


class _Upload(io.BufferedWriter):
    def __init__(self, file: Path):
        self._file = file
        # Named like an object of no bucket, so that no listing shows it.
        self._partial = file.parent / f"-{uuid.uuid4().hex}"
        super().__init__(io.FileIO(self._partial, "w"))

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._partial.replace(self._file)


class Counting(counting.Counting, skip_registration=True):
    """The same, whose worker processes know the store because they import this module."""


fsspec.register_implementation("s3", ObjectStore, clobber=True)
