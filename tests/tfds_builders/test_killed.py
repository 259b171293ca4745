"""Builds that are killed at any moment; test_writing.py has worker processes killed at work."""

import os
import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY
from tests.tfds_builders.counting import write_raw


@pytest.mark.slow
@pytest.mark.parametrize("data_dir", ["{root}/out/{number}", "s3://bucket/{number}"])
def test_killed_at_every_step_and_at_any_five(tmp_path, data_dir):
    """In a shard, between shards, while metadata are written and while the old dataset goes."""
    raw = write_raw(tmp_path / "raw", train=4, test=1)
    old_raw = write_raw(tmp_path / "old_raw", train=2, test=1)
    (tmp_path / "store").mkdir()
    command = [sys.executable, "-m", "tests.tfds_builders.killing"]
    done = subprocess.run(
        [*command, raw, old_raw, tmp_path, data_dir],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        env=os.environ | {"TEST_OBJECT_STORE": str(tmp_path / "store")},
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    *wrong, end = done.stdout.splitlines()
    assert not wrong
    assert int(end.removesuffix(" steps")) > 40
