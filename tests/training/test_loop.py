import json
import shutil
from dataclasses import replace

import jax
import numpy as np
import pytest

from tests.compilations import compilations
from tests.data import toy_mixture
from tests.training.runs import metrics, run_config
from vlm3_jax.errors import BadInput
from vlm3_jax.hub import folder as hub
from vlm3_jax.models.functional import init_params
from vlm3_jax.models.qwen3_vl.config import Qwen3VLConfig
from vlm3_jax.parallel.mesh import make_mesh
from vlm3_jax.training import loop
from vlm3_jax.training.program import first_state, train_program

EXACT = (
    "step",
    "loss",
    "accuracy",
    "lr",
    "grad_norm",
    "num_supervised",
    "token_fill",
    "patch_fill",
)


def source(**changes) -> dict:
    return {"made_up": {"name": "depthlm_jsonl", "task": "depth"} | changes}


@pytest.fixture(scope="module")
def finished(inputs):
    """A run of 20 steps that nothing stopped."""
    loop.train(run_config(inputs), inputs / "finished")
    return inputs / "finished"


def test_fifty_varied_batches_are_one_compilation(inputs, monkeypatch):
    counts, sizes = [], set()
    add = loop.MetricsLog.add

    def counted(self, step, values):
        counts.append(len(names))
        sizes.add(int(values["num_tokens"]))
        add(self, step, values)

    monkeypatch.setattr(loop.MetricsLog, "add", counted)
    packed = {"data__open_rows": 3, "data__max_tokens": 160, "data__max_patches": 128}
    config = run_config(inputs, total_steps=50, data__questions="independent", **packed)
    with compilations() as names:
        loop.train(config, inputs / "fifty")
    assert len(counts) == 50 and len(sizes) > 10
    assert names.count("jit(train_step)") == 1
    # Nothing at all is compiled once the second step is queued; saving the last comes later.
    assert counts[1] == counts[-1]


def test_what_a_run_leaves(finished, inputs):
    workdir = finished
    lines = metrics(workdir)
    assert [line["step"] for line in lines] == list(range(1, 21))
    assert lines[-1]["loss"] < 0.7 * lines[0]["loss"]
    assert max(line["lr"] for line in lines) == pytest.approx(1e-2)
    # Two questions an image; the dataset's answers have two numbers of three digits and a point.
    assert {line["num_supervised"] for line in lines} == {8 * 2 * (3 + 2 * 4 + 1)}
    assert all(0.5 < line["token_fill"] < 1 and 0 < line["patch_fill"] < 1 for line in lines)
    assert all(line["samples_per_s"] > 0 and line["tokens_per_s"] > 0 for line in lines)
    assert all(0 <= line["device_wait_s"] <= line["step_time_s"] for line in lines)
    assert "mfu" not in lines[0]  # The peak of a CPU is not known.
    assert sorted(path.name for path in (workdir / "checkpoints").iterdir()) == ["14", "20", "7"]
    assert any(path.stat().st_size > 500 for path in (workdir / "tensorboard").iterdir())
    assert json.loads((workdir / "config.json").read_text())["checkpoint"] == {
        "every": 7,
        "keep": 3,
    }


def test_a_workdir_is_a_checkpoint(finished, inputs):
    workdir = finished
    config = run_config(inputs, model__checkpoint=str(workdir), model__init="checkpoint")
    model = Qwen3VLConfig.from_folder(workdir / "assets")
    state = first_state(config, model, train_program(config, model, make_mesh()))
    _, params = hub.load_params(workdir)
    jax.tree.map(np.testing.assert_array_equal, state.params, params)
    assert int(state.step) == 0


def test_stopped_at_step_7_and_resumed(finished, inputs, monkeypatch):
    workdir = inputs / "stopped"
    config = run_config(inputs)
    drawn = []

    def interrupted(*args):
        drawn.append(args)
        if len(drawn) == 10:
            raise KeyboardInterrupt
        return place_rows(*args)

    place_rows = loop.place_rows
    monkeypatch.setattr(loop, "place_rows", interrupted)
    with pytest.raises(KeyboardInterrupt):
        loop.train(config, workdir)
    monkeypatch.undo()
    assert [line["step"] for line in metrics(workdir)] == list(range(1, 9))
    assert [path.name for path in (workdir / "checkpoints").iterdir()] == ["7"]

    loop.train(config, workdir)
    expected = [{key: line[key] for key in EXACT} for line in metrics(finished)]
    assert [{key: line[key] for key in EXACT} for line in metrics(workdir)] == expected

    before = (workdir / "metrics.jsonl").read_text()
    loop.train(config, workdir)  # Nothing is left to do.
    assert (workdir / "metrics.jsonl").read_text() == before


def test_packed_and_resumed_from_half_filled_rows(inputs):
    workdir = inputs / "packed"
    config = run_config(
        inputs,
        batch_size=2,
        data__open_rows=3,
        data__max_tokens=384,
        data__max_patches=192,
        data__max_supervised=384,
        total_steps=6,
        checkpoint__every=3,
    )
    loop.train(config, workdir)
    lines = metrics(workdir)
    assert min(line["token_fill"] for line in lines) > 0.6
    assert min(line["num_supervised"] for line in lines) > 2 * 2 * 2 * 12  # Many samples a row.
    (state,) = (workdir / "checkpoints" / "3" / "data").glob("process_*.json")
    assert max(map(len, json.loads(state.read_text())["open_rows"])) > 1

    shutil.rmtree(workdir / "checkpoints" / "6")
    loop.train(config, workdir)
    expected = [{key: line[key] for key in EXACT} for line in lines]
    assert [{key: line[key] for key in EXACT} for line in metrics(workdir)] == expected


def test_a_mixture_trains(inputs, tmp_path):
    toy_mixture.build(tmp_path / "data")
    weights = {"depth": 2.0, "correspondence": 1.0, "objects": 1.0, "pose": 0.0}
    data = toy_mixture.config(tmp_path / "data", task_weights=weights, max_tokens=1200)
    config = replace(run_config(inputs, batch_size=4, total_steps=10, log_every=4), data=data)
    loop.train(config, tmp_path / "run")
    lines = metrics(tmp_path / "run")
    assert [line["step"] for line in lines] == [4, 8, 10]
    total = sum(value for line in lines for name, value in line.items() if "samples/" in name)
    assert total == 10 * 4
    assert all(f"loss/{task}" in lines[0] for task in ("depth", "correspondence", "objects"))
    assert not any("pose" in name or "moves" in name for line in lines for name in line)


def test_another_configuration(finished, inputs):
    changed = run_config(inputs, optimizer__learning_rate=2e-2, data__max_tokens=128, log_every=5)
    with pytest.raises(BadInput) as error:
        loop.train(changed, finished)
    assert "config.optimizer.learning_rate (0.01 there, 0.02 here)" in str(error.value)
    assert "config.data.max_tokens (96 there, 128 here)" in str(error.value)
    assert "log_every" not in str(error.value)


def test_memory_settings_and_resume(inputs, tmp_path):
    """Frozen parameters, small types and accumulation, saved and read back."""
    changes = {
        "model__compute_dtype": "bfloat16",
        "model__param_dtype": "bfloat16",
        "model__remat": {"text": "dots", "vision": "none"},
        "optimizer__frozen": ("vision/.*",),
        "optimizer__rate_multipliers": (("text/embed/.*", 0.5),),
        "optimizer__first_moment_dtype": "bfloat16",
        "gradient_accumulation": 2,
        "total_steps": 4,
        "checkpoint": {"every": 2},
    }
    config = run_config(inputs, **changes)
    loop.train(config, tmp_path / "run")
    expected = metrics(tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "checkpoints" / "4")
    loop.train(config, tmp_path / "run")
    for line, other in zip(metrics(tmp_path / "run"), expected, strict=True):
        assert [line[key] for key in EXACT] == [other[key] for key in EXACT]
    _, params = hub.load_params(tmp_path / "run")
    start = init_params(Qwen3VLConfig.from_folder(tmp_path / "run" / "assets"), config.seed)
    for name, same in (("vision", True), ("text", False)):
        pairs = zip(jax.tree.leaves(params[name]), jax.tree.leaves(start[name]), strict=True)
        assert all((a == b.astype("bfloat16")).all() == same for a, b in pairs)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optimizer__frozen": ("visual/.*",)}, "matches no parameter"),
        ({"data__max_supervised": 5}, "answer tokens, but max_supervised is 5: raise it"),
        ({"gradient_accumulation": 3}, "batch_size is 8, .*in 3 parts"),
        (
            {"data__sources": source(split="train[:0]")},
            r"config\.data\.sources\.made_up: depthlm_jsonl.* 'train\[:0\]'",
        ),
        ({"data__sources": source(name="nothing")}, "holds no built dataset"),
        ({"data__max_tokens": 20}, "max_tokens is 20: raise it"),
        ({"model__checkpoint": "/nowhere/at/all"}, "/nowhere/at/all"),
        ({"model__init": "checkpoint"}, "checkpoint.* holds no .*safetensors"),
        ({"mesh__tensor": 2}, "does not fit 1 devices"),
    ],
)
def test_bad_input_leaves_no_workdir(inputs, changes, message):
    workdir = inputs / "runs" / "new"
    with pytest.raises(BadInput, match=message):
        loop.train(run_config(inputs, **changes), workdir)
    assert not workdir.parent.exists()


def test_folders_that_are_no_workdir(inputs, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(BadInput, match="file is a file"):
        loop.train(run_config(inputs), tmp_path / "file")
    with pytest.raises(BadInput, match="is not empty and holds no training run"):
        loop.train(run_config(inputs), tmp_path)
    with pytest.raises(BadInput, match="is not empty and holds no training run"):
        loop.train(run_config(inputs), inputs / "checkpoint")  # Its config.json is a model's.
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_divergence_is_not_saved(inputs, tmp_path):
    config = run_config(inputs, optimizer__learning_rate=1e30, checkpoint__every=1)
    with pytest.raises(BadInput, match=r"diverged at step [34]: loss .*config.optimizer.learning"):
        loop.train(config, tmp_path / "run")
    saved = {path.name for path in (tmp_path / "run" / "checkpoints").iterdir()}
    logged = [line["step"] for line in metrics(tmp_path / "run")]
    assert saved <= {str(step) for step in logged}
    shutil.rmtree(tmp_path / "run")
