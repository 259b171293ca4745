import importlib.util
import json

import pytest

from tests.commands import run_all
from tests.training.runs import write_checkpoint, write_config_file

HAS_LIBTPU = importlib.util.find_spec("libtpu") is not None
HAS_CUDA = importlib.util.find_spec("jax_cuda12_plugin") is not None
# Dense attention over rows of this length is too large for any device.
TOO_LONG = ["--config.data.max_tokens=100000", "--config.model.attention=reference"]


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """A run whose data does not exist."""
    folder = tmp_path_factory.mktemp("inputs")
    write_checkpoint(folder / "checkpoint")
    return f"--config={write_config_file(folder, batch_size=16)}"


def compile_all(folder, *commands: list[str]) -> list[tuple[str, dict]]:
    """What each command printed, and its report."""
    files = [folder / "new" / f"{i}.json" for i in range(len(commands))]
    with_files = zip(commands, files, strict=True)
    runs = run_all(
        "launch.aot_compile",
        [["--low_effort", f"--out={file}", *command] for command, file in with_files],
    )
    for run in runs:
        assert run.status == 0, run.err
    return [(run.out, json.loads(file.read_text())) for run, file in zip(runs, files, strict=True)]


def test_bad_input(config):
    commands = [
        [config, "--topology=v5e:5x5"],
        [config, "--topology=h100:8", "--slices=2"],
        [config, "--topology=v5e:2x2", "--config.model.checkpoint=nowhere"],
        [config, "--topology=v5e:2x2", "--config.sed=1"],
        [config, "--topology=v5e:2x2", "--out=pyproject.toml/report.json"],
    ]
    messages = ["'v5e:5x5' does not exist", "slices is 2", "nowhere does not exist", "sed", "--out"]
    if HAS_LIBTPU:
        commands.append([config, "--topology=v5e:4x4", "--config.batch_size=17"])
        messages.append("use 16 or 32")
    else:
        commands.append([config, "--topology=v5e:2x2"])
        messages.append('pip install "jax[tpu]"')
    for run, message in zip(run_all("launch.aot_compile", commands), messages, strict=True):
        assert run.status == 2
        assert run.err.splitlines()[-1].startswith("error: ") and message in run.err, run.err


@pytest.mark.slow
@pytest.mark.skipif(not HAS_LIBTPU, reason='needs libtpu: pip install "jax[tpu]"')
def test_tpus(config, tmp_path):
    small = [config, "--topology=v5e:2x2"]
    slices = [config, "--topology=v5e:2x2", "--slices=2", "--config.mesh.replica=2"]
    fits, too_large, sliced = compile_all(tmp_path, small, small + TOO_LONG, slices)
    text, report = fits
    assert text.startswith("v5e:2x2 (replica 1 x fsdp 4 x tensor 1), 16 rows a step")
    assert "attention splash: fits\n" in text
    assert report["fits"] and report["attention"] == "splash"
    state = report["param_bytes"] + report["optimizer_bytes"]
    assert state < report["peak_bytes"] < report["hbm_bytes"] == 16 * 2**30
    # Parameters are gathered from the devices, and their gradients summed over them.
    assert report["collective_bytes"]["all-gather"] > report["param_bytes"]
    assert sum(report["collective_bytes"].values()) > 4 * report["param_bytes"]
    assert not report["unknown_loops"]
    assert 0.8 < report["executed_flops"] / report["needed_flops"] < 1.5

    text, report = too_large
    assert "attention reference: DOES NOT FIT\n" in text
    assert not report["fits"] and report["peak_bytes"] > report["hbm_bytes"]

    _, other = sliced
    assert other["mesh"] == {"replica": 2, "fsdp": 4, "tensor": 1}
    assert other["param_bytes"] == fits[1]["param_bytes"]
    assert other["needed_flops"] == fits[1]["needed_flops"]


@pytest.mark.slow
@pytest.mark.skipif(not HAS_CUDA, reason='needs the CUDA plugin: pip install "jax[cuda12]"')
def test_gpus(config, tmp_path):
    small = [config, "--topology=h100:16"]
    (_, fits), (_, too_large) = compile_all(tmp_path, small, small + TOO_LONG)
    assert fits["fits"] and fits["peak_bytes"] < fits["hbm_bytes"]
    assert fits["attention"] == "flash"
    assert fits["collective_bytes"]["reduce-scatter"] > 0
    # This compiler does not mind.
    assert not too_large["fits"] and too_large["peak_bytes"] > too_large["hbm_bytes"]
    assert too_large["collective_bytes"]
