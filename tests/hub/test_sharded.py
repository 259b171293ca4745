import os
import re
import socket
import subprocess
import sys

import pytest

from tests.hub.folders import (
    FILES,
    assert_same_bits,
    copy_assets,
    random_bits,
    read_tensors,
    reference_shapes,
    write_tensors,
)


def run_processes(count: int, *arguments: str) -> list[str]:
    """Runs the program in `count` processes with 8 simulated devices in all."""
    with socket.socket() as sock:
        sock.bind(("localhost", 0))
        port = sock.getsockname()[1]
    env = {
        **os.environ,
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={8 // count}",
    }
    if count > 1:
        env |= {"JAX_COORDINATOR_ADDRESS": f"localhost:{port}", "JAX_NUM_PROCESSES": str(count)}
    command = [sys.executable, "-m", "tests.hub.sharded_program", *arguments]
    processes = [
        subprocess.Popen(
            command,
            env=env | ({"JAX_PROCESS_ID": str(i)} if count > 1 else {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for i in range(count)
    ]
    outputs = [process.communicate(timeout=300) for process in processes]
    for process, (_, errors) in zip(processes, outputs, strict=True):
        assert process.returncode == 0, errors
    return [output for output, _ in outputs]


@pytest.mark.slow
@pytest.mark.parametrize(("processes", "copies"), [(1, 2), (2, 1)])
def test_shards_are_read_where_they_live_and_written_whole(
    tiny_hf_untied, tmp_path, processes, copies
):
    folder = copy_assets(tiny_hf_untied, tmp_path / "hf")
    tensors = random_bits(reference_shapes(folder), "bfloat16")
    write_tensors(folder, tensors, FILES)

    outputs = run_processes(processes, str(folder), str(tmp_path), str(copies))

    assert_same_bits(read_tensors(tmp_path / "from_hf"), tensors)
    assert_same_bits(read_tensors(tmp_path / "from_ours"), tensors)
    # Each process reads its part, once for all its copies, and the little that is not sharded.
    total = sum(array.nbytes for name, array in tensors.items() if "patch_embed" not in name)
    for output in outputs:
        read = int(re.search(r"read (\d+) bytes", output).group(1))
        assert total / processes <= read <= 1.05 * total / processes
