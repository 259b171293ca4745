"""The whole benchmark on a tiny model, and each of its claims of equal work."""

import json
from contextlib import closing
from dataclasses import replace

import jax
import numpy as np
import pytest
import torch

from launch.bench import ours, theirs
from launch.bench.conversations import IGNORED, conversations
from launch.bench.plan import Plan
from launch.bench.report import check_agreement, summary
from tests.commands import run_all
from tests.training.conftest import quick_compilation  # noqa: F401 (it applies itself)
from tests.training.runs import run_config, write_checkpoint, write_config_file, write_dataset
from vlm3_jax.data.encoder import Encoder
from vlm3_jax.data.pipeline import train_iterator
from vlm3_jax.errors import BadInput
from vlm3_jax.hub.export import save_hf
from vlm3_jax.models.functional import init_params

PACKED = {
    "data__open_rows": 2,
    "data__max_tokens": 160,
    "data__max_patches": 96,
    "batch_size": 2,
    "optimizer": {
        "learning_rate": 3e-3,
        "warmup_ratio": 0.0,
        "weight_decay": 0.5,
        "clip_norm": 0.1,
        "rate_multipliers": (("vision/.*", 0.5),),
    },
}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    write_dataset(folder)
    write_checkpoint(folder / "checkpoint")
    return folder


def make_plan(folder, seed=0, **changes) -> Plan:
    config = run_config(folder, **(PACKED | changes))
    weights = folder / f"weights{seed}"
    encoder = Encoder.from_folder(folder / "checkpoint")
    if not weights.exists():
        save_hf(init_params(encoder.config, seed), folder / "checkpoint", weights)
    data = train_iterator(config.data, encoder, batch_size=config.batch_size, seed=config.seed)
    with closing(data) as batches:
        drawn = tuple(next(batches) for _ in range(3))
    return Plan(
        config=config,
        weights=weights,
        batches=drawn,
        learning_rates=(3e-3,) * 5,
        conversations_at_a_time=3,
        torch_attention="sdpa",
    )


def constant_rate(monkeypatch):
    """Ours takes the rate from its schedule; the plans here name a constant one."""
    monkeypatch.setattr("vlm3_jax.training.program.make_schedule", lambda *_: lambda step: 3e-3)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"data__questions": "independent"},
        {"optimizer__frozen": ("vision/blocks/.*", "text/embed/.*")},
        {"model__remat": {"text": "none", "vision": "none"}, "gradient_accumulation": 2},
    ],
    ids=["turns", "independent", "frozen", "no remat, accumulated"],
)
def test_both_sides_make_the_same_updates(inputs, monkeypatch, changes):
    constant_rate(monkeypatch)
    optimizer = PACKED["optimizer"] | {
        name.removeprefix("optimizer__"): value
        for name, value in changes.items()
        if name.startswith("optimizer__")
    }
    changes = {k: v for k, v in changes.items() if not k.startswith("optimizer__")}
    plan = make_plan(inputs, **changes, optimizer=optimizer)
    mine, other = ours.measure(plan), theirs.measure(plan)
    assert mine.first_loss == pytest.approx(other.first_loss, rel=1e-5)
    assert mine.first_grad_norm == pytest.approx(other.first_grad_norm, rel=1e-4)
    # After four updates: the optimizers are the same too.
    assert mine.last_loss == pytest.approx(other.last_loss, rel=1e-4)
    assert abs(mine.last_loss - mine.first_loss) > 0.1


def test_bfloat16_sides_agree(inputs):
    for param_dtype in ("float32", "bfloat16"):
        plan = make_plan(
            inputs, model={"checkpoint": "unused", "param_dtype": param_dtype}, data__open_rows=1
        )
        check_agreement(ours.measure(plan), theirs.measure(plan), "bfloat16")


def test_other_weights_are_noticed(inputs):
    plan = make_plan(inputs)
    mine = ours.measure(plan)
    check_agreement(mine, theirs.measure(plan), "float32")
    with pytest.raises(BadInput, match=r"the sides do not do the same work.*first_loss"):
        check_agreement(mine, theirs.measure(make_plan(inputs, seed=1)), "float32")


def test_other_samples_are_noticed(inputs):
    plan = make_plan(inputs)
    swapped = replace(plan, batches=plan.batches[::-1])
    with pytest.raises(BadInput, match="the sides do not do the same work"):
        check_agreement(ours.measure(plan), theirs.measure(swapped), "float32")


@pytest.mark.parametrize("questions", ["turns", "independent"])
def test_conversations_hold_every_answer_once(inputs, questions):
    plan = make_plan(inputs, data__questions=questions)
    batch = plan.batches[0]
    vision = Encoder.from_folder(plan.weights).config.vision
    found = conversations(batch, vision)
    samples = batch.text.segment_ids.max(axis=-1).sum()
    assert len(found) == samples * (2 if questions == "independent" else 1)
    answers = np.concatenate([one.tokens[one.labels != IGNORED] for one in found])
    expected = batch.targets[batch.loss_weights > 0]
    np.testing.assert_array_equal(np.sort(answers), np.sort(expected))
    for one in found:
        assert one.grids.prod(axis=1).sum() == len(one.pixels) > 0


def test_work_and_speed(inputs):
    plan = make_plan(inputs)
    about = {"peak_flops": 1e9, "devices": 1}
    outcome = ours.Outcome(2.0, 1.0, 3.0, 4.0, 5.0, None, about)
    rounds = {
        "vlm3_jax": [outcome, replace(outcome, seconds=4.0)],
        "transformers": [replace(outcome, seconds=8.0), replace(outcome, seconds=4.0)],
    }
    figures = summary(plan, rounds)
    work, mine = figures["work"], figures["sides"]["vlm3_jax"]
    assert work["updates"] == 3
    assert work["tokens"] == sum((b.text.segment_ids > 0).sum() for b in plan.batches)
    assert work["image_tokens"] == sum((b.images.segment_ids > 0).sum() // 4 for b in plan.batches)
    assert mine["tokens_per_s"] == pytest.approx(
        {"median": 0.375 * work["tokens"], "least": work["tokens"] / 4, "most": work["tokens"] / 2}
    )
    assert mine["mfu"]["most"] == pytest.approx(work["flops"] / 2 / 1e9)
    assert figures["times_as_fast"] == {"medians": 2.0, "best_rounds": 2.0, "by_round": [4.0, 1.0]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model__remat": {"text": "dots"}}, "config.model.remat.text is 'dots'"),
        ({"model__param_dtype": "bfloat16"}, "bfloat16 parameters"),
    ],
)
def test_what_torch_cannot_do_is_refused(inputs, changes, message):
    with pytest.raises(BadInput, match=message):
        theirs.measure(make_plan(inputs, **changes))


def test_torch_without_the_device_of_jax_is_refused(inputs):
    assert not torch.cuda.is_available()
    with pytest.raises(BadInput, match="jax runs on gpu"):
        theirs.measure(replace(make_plan(inputs), platform="gpu"))


@pytest.mark.slow
def test_command(inputs, tmp_path, monkeypatch):
    monkeypatch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")  # Compiling takes most of the time.
    config_file = write_config_file(inputs, **(PACKED | {"optimizer": {"learning_rate": 1e-3}}))
    common = [f"--config={config_file}", "--rounds=2", "--updates=2"]
    done, alone, refused = run_all(
        "launch.bench_train",
        [
            [*common, f"--out={tmp_path / 'both.json'}"],
            [*common, "--notorch", f"--out={tmp_path / 'alone.json'}"],
            [*common, "--config.model.remat.text=dots", "--rounds=1"],
        ],
    )
    assert done.status == 0, done.err
    assert "vlm3_jax makes" in done.out and "(least to most)" in done.out
    figures = json.loads((tmp_path / "both.json").read_text())
    sides = figures["sides"]
    assert list(sides) == ["vlm3_jax", "transformers"]
    for side in sides.values():
        assert len(side["seconds"]) == 2
    assert sides["vlm3_jax"]["about"]["jax"] == jax.__version__
    assert sides["transformers"]["about"]["torch"] == torch.__version__
    assert sides["transformers"]["about"]["conversations_at_a_time"] >= 1
    assert sides["transformers"]["first_loss"] == pytest.approx(
        sides["vlm3_jax"]["first_loss"], rel=1e-4
    )
    assert figures["config"]["optimizer"]["learning_rate"] == 1e-3

    assert alone.status == 0, alone.err
    alone = json.loads((tmp_path / "alone.json").read_text())
    assert list(alone["sides"]) == ["vlm3_jax"] and "times_as_fast" not in alone

    assert refused.status == 2
    assert refused.err.splitlines()[-1].startswith("error: config.model.remat.text is 'dots'")
