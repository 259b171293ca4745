"""The same token ids on 8 simulated devices, and in two processes of 4, as on one."""

import json
import os
import socket
import subprocess
import sys
from itertools import chain
from pathlib import Path

import numpy as np
import pytest

from tests.decoding.cases import WAYS, as_number, mixed_samples, our_answers
from vlm3_jax.data.encoder import Encoder

REPOSITORY = Path(__file__).parents[2]


def run(
    folder: Path, mesh: tuple[int, int, int], processes: int, settings: list[dict]
) -> list[list]:
    """What each process answered, with each of the settings."""
    with socket.socket() as sock:
        sock.bind(("localhost", 0))
        port = sock.getsockname()[1]
    shared = os.environ | {"XLA_FLAGS": f"--xla_force_host_platform_device_count={8 // processes}"}
    if processes > 1:
        shared |= {
            "JAX_COORDINATOR_ADDRESS": f"localhost:{port}",
            "JAX_NUM_PROCESSES": str(processes),
        }
    command = [sys.executable, "-m", "tests.decoding.sharded_program", str(folder)]
    command.append(json.dumps(settings))
    started = [
        subprocess.Popen(
            [*command, *map(str, mesh)],
            env=shared | ({"JAX_PROCESS_ID": str(i)} if processes > 1 else {}),
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for i in range(processes)
    ]
    outputs = [process.communicate(timeout=600) for process in started]
    for process, (_, errors) in zip(started, outputs, strict=True):
        assert process.returncode == 0, errors
    # The lines before the last are the transport's own, between processes.
    return [json.loads(output.splitlines()[-1]) for output, _ in outputs]


@pytest.mark.slow
@pytest.mark.parametrize(("mesh", "processes"), [((2, 2, 2), 1), ((1, 1, 8), 1), ((1, 4, 2), 2)])
def test_same_answers_on_every_mesh(lively_hf, mesh, processes, monkeypatch):
    monkeypatch.setattr(Encoder, "decode", lambda self, tokens: "".join(map(as_number, tokens)))
    answers = our_answers(lively_hf, mixed_samples(), branches=2)
    expected = [(one.value, one.probability) for answer in answers for one in answer.values]
    assert len(expected) > 20
    found = run(lively_hf, mesh, processes, [{"branches": 2}])
    assert len(found) == processes
    for ((tokens, values),) in found:
        assert tokens == [list(answer.token_ids) for answer in answers]
        np.testing.assert_allclose(list(chain(*values)), expected, rtol=1e-3)


@pytest.mark.slow
def test_every_way_on_eight_devices(lively_hf):
    """With and without the shared prefix, refilled rows and drafts."""
    names = ("share_prefix", "refill", "draft_tokens")
    ways = [dict(zip(names, way, strict=True)) for way in WAYS]
    expected = [list(answer.token_ids) for answer in our_answers(lively_hf, mixed_samples())]
    (found,) = run(lively_hf, (2, 2, 2), 1, ways)
    assert [tokens for tokens, _ in found] == [expected] * len(ways)
