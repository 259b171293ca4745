import json
import os
import subprocess
import sys

import pytest

from tests.hub.folders import (
    assert_same_bits,
    copy_assets,
    random_bits,
    read_tensors,
    reference_shapes,
    write_tensors,
)


def convert(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "vlm3_jax.convert", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, env=os.environ)


def test_there_and_back(tiny_hf, tmp_path):
    folder = copy_assets(tiny_hf, tmp_path / "hf")
    tensors = random_bits(reference_shapes(folder), "bfloat16")
    write_tensors(folder, tensors)

    there = convert(f"--src={folder}", f"--dst={tmp_path}/ours", "--to=jax")
    back = convert(f"--src={tmp_path}/ours", f"--dst={tmp_path}/back", "--to=hf")

    assert (there.returncode, back.returncode) == (0, 0), there.stderr + back.stderr
    summary = {
        "tensors": len(tensors),
        "parameters": sum(array.size for array in tensors.values()),
        "bytes": sum(array.nbytes for array in tensors.values()),
    }
    expected = {"dst": str(tmp_path / "ours"), "to": "jax", **summary}
    assert [json.loads(line) for line in there.stdout.splitlines()] == [expected]
    assert json.loads(back.stdout) == {"dst": str(tmp_path / "back"), "to": "hf", **summary}
    assert_same_bits(read_tensors(tmp_path / "back"), tensors)


def test_type_and_file_size_are_settings(tiny_hf, tmp_path):
    done = convert(
        f"--src={tiny_hf}",
        f"--dst={tmp_path}/out",
        "--to=hf",
        "--dtype=bfloat16",
        "--max_shard_gb=0.0003",
    )
    assert done.returncode == 0, done.stderr
    files = list((tmp_path / "out").glob("model-*.safetensors"))
    assert len(files) > 1 and all(path.stat().st_size < 320_000 for path in files)
    assert {str(array.dtype) for array in read_tensors(tmp_path / "out").values()} == {"bfloat16"}


@pytest.mark.parametrize(
    ("src", "dst", "part"),
    [
        ("bad", "new", "missing (1): model.language_model.norm.weight"),
        ("good", "full", "exists and is not empty"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(tiny_hf, tmp_path, src, dst, part):
    tensors = read_tensors(tiny_hf)
    write_tensors(copy_assets(tiny_hf, tmp_path / "good"), tensors)
    del tensors["model.language_model.norm.weight"]
    write_tensors(copy_assets(tiny_hf, tmp_path / "bad"), tensors)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("x")
    before = sorted(tmp_path.rglob("*"))

    done = convert(f"--src={tmp_path}/{src}", f"--dst={tmp_path}/{dst}", "--to=jax")

    assert done.returncode == 2
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert lines[-1].startswith("error: ") and part in lines[-1]
    assert "Traceback" not in done.stderr
    assert sorted(tmp_path.rglob("*")) == before


def test_a_missing_flag():
    done = convert("--to=jax")
    assert done.returncode == 2 and "--src" in done.stderr and "Traceback" not in done.stderr
