import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from vlm3_jax.errors import BadInput
from vlm3_jax.files import write_together, write_whole


def test_files_appear_whole_and_replace_others(tmp_path):
    folder = tmp_path / "new" / "folder"
    write_together(folder, {"a": b"1", "b": b"2"})
    write_whole(folder / "a", b"3")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"a": b"3", "b": b"2"}


def test_nothing_is_left_where_the_system_takes_no_more(tmp_path):
    """A process of its own may write files of 1000 bytes at most."""
    (tmp_path / "small").write_bytes(b"as it was")
    script = (
        "import resource, sys, pathlib; from vlm3_jax import files;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000));"
        "new = {'small': b'new', 'large': bytes(5000)};"
        "files.write_together(pathlib.Path(sys.argv[1]), new)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, timeout=100
    )
    message = f"BadInput: {tmp_path} has no room for small, large of 5,003 bytes"
    assert done.returncode == 1 and message in done.stderr, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["small"]
    assert (tmp_path / "small").read_bytes() == b"as it was"


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_named(tmp_path, monkeypatch, code):
    whole = Path.write_bytes

    def torn(path: Path, data: bytes) -> None:
        whole(path, data[:3])
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(Path, "write_bytes", torn)
    with pytest.raises(BadInput, match=r"has no room for a of 10 bytes .*name another folder"):
        write_whole(tmp_path / "a", bytes(10))
    assert list(tmp_path.iterdir()) == []


def test_other_failures_stay_what_they_are(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(IsADirectoryError):
        write_whole(tmp_path / "a", b"1")
