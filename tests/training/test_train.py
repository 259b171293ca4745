"""The command itself: bad input, eight devices, two processes."""

import numpy as np
import pytest

from tests.training.runs import finish, metrics, start, start_processes, write_config_file

BAD = {
    "unknown key": (
        ["--config.optimizer.learning_rat=1"],
        "config.optimizer.learning_rat is no setting: did you mean learning_rate",
    ),
    "wrong type": (
        ["--config.total_steps=many"],
        "--config.total_steps=many: invalid literal for int()",
    ),
    "a batch that the mesh does not divide": (
        ["--config.batch_size=6", "--config.mesh.tensor=2"],
        "config.batch_size is 6, which does not divide by 4 (replica 1 x fsdp 4): use 4 or 8",
    ),
}


@pytest.fixture(scope="module")
def config_file(inputs):
    # The run is 10 steps of a warm-up, so the learning rate never stands still.
    return write_config_file(
        inputs, total_steps=10, optimizer__warmup_ratio=0.5, checkpoint__every=10
    )


@pytest.mark.slow
def test_bad_input(config_file, tmp_path):
    flags = [f"--config={config_file}", f"--workdir={tmp_path / 'new'}"]
    started = [start(*flags, *more, devices=8) for more, _ in BAD.values()]
    for name, process, (out, err) in zip(BAD, started, finish(started), strict=True):
        assert process.returncode == 2, f"{name}: {err}"
        assert err.count("\n") == 1 and err.startswith("error: "), f"{name}: {err}"
        assert BAD[name][1] in err, f"{name}: {err}"
        assert out == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_devices_and_processes_give_the_same_losses(config_file, tmp_path):
    def flags(name: str, *more: str) -> list[str]:
        return [f"--config={config_file}", f"--workdir={tmp_path / name}", *more]

    tensor = "--config.mesh.tensor=2"
    started = [start(*flags("one")), start(*flags("eight", tensor), devices=8)]
    started += start_processes(2, *flags("processes", tensor), devices=4)
    for process, (_, err) in zip(started, finish(started), strict=True):
        assert process.returncode == 0, err

    expected = [line["loss"] for line in metrics(tmp_path / "one")]
    assert len(expected) == 10 and len(set(expected)) == 10
    for name in ("eight", "processes"):
        losses = [line["loss"] for line in metrics(tmp_path / name)]
        np.testing.assert_allclose(losses, expected, rtol=1e-5)
    saved = tmp_path / "processes" / "checkpoints" / "10" / "data"
    assert len(list(saved.glob("process_*-of-2.json"))) == 2
