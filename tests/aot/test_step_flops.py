"""The FLOPs of a whole step against sums by hand, for the model of `tests.training.runs`."""

import numpy as np
import pytest

from tests.training.runs import run_config, write_checkpoint
from vlm3_jax.aot.step_flops import StepFlops, full_row, step_flops
from vlm3_jax.data.batch import abstract_batch
from vlm3_jax.models.attention import kernels
from vlm3_jax.models.qwen3_vl.config import Qwen3VLConfig
from vlm3_jax.parallel.mesh import make_mesh
from vlm3_jax.training.program import train_program
from vlm3_jax.training.step import trace_step

ROWS, TOKENS, PATCHES, SUPERVISED = 4, 128, 64, 32
WIDTH, MLP, LAYERS = 32, 64, 2  # Of both towers.
HEADS, HEAD_DIM = 4, 16  # Of the text; there are half as many key heads.

# Multiply-adds of a row, forward.
EMBED = PATCHES * 2 * 3 * 16 * 16 * WIDTH
VISION = PATCHES * LAYERS * (4 * WIDTH**2 + 2 * WIDTH * MLP)
MERGERS = 2 * PATCHES / 4 * ((4 * WIDTH) ** 2 + 4 * WIDTH * WIDTH)
TEXT = TOKENS * LAYERS * (3 * HEADS * HEAD_DIM * WIDTH + 3 * WIDTH * MLP)
ATTENTION = LAYERS * (2 * PATCHES**2 * WIDTH + 2 * TOKENS**2 * HEADS * HEAD_DIM)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    write_checkpoint(folder / "checkpoint")
    return folder


def count(folder, attention="reference", **changes) -> StepFlops:
    config = run_config(
        folder,
        batch_size=ROWS,
        data__max_tokens=TOKENS,
        model__attention=attention,
        **changes,
    )
    model = Qwen3VLConfig.from_folder(folder / "checkpoint")
    mesh = make_mesh()
    program = train_program(config, model, mesh)
    batch = abstract_batch(ROWS, TOKENS, PATCHES, model.vision)
    traced = trace_step(program.step, program.state, batch, mesh)
    return step_flops(config, model, mesh, traced.jaxpr)


def head(folder) -> int:
    vocabulary = Qwen3VLConfig.from_folder(folder / "checkpoint").text.vocab_size
    return SUPERVISED * WIDTH * vocabulary


NO_REMAT = {"text": "none", "vision": "none"}


@pytest.mark.parametrize("parts", [1, 2])
def test_reference(folder, parts):
    found = count(folder, model__remat=NO_REMAT, gradient_accumulation=parts)
    # Pixels need no gradient, and both frames of an image are the same, so one product does for
    # them; the loss computes the logits of a chunk twice.
    executed = 3 * (VISION + MERGERS + TEXT + ATTENTION) + EMBED + 4 * head(folder)
    assert found.executed == pytest.approx(2 * ROWS * executed, rel=1e-9)
    needed = VISION + MERGERS + TEXT + EMBED + head(folder)
    attention = LAYERS * (2 * PATCHES**2 * WIDTH + TOKENS**2 * HEADS * HEAD_DIM)
    assert found.needed == pytest.approx(2 * ROWS * 3 * (needed + attention), rel=1e-6)


def test_rematerialisation(folder):
    none, full = count(folder, model__remat=NO_REMAT), count(folder)
    assert full.needed == none.needed
    # All of a layer is repeated but its last product, whose result the backward pass has no use of.
    last = LAYERS * (PATCHES * MLP * WIDTH + TOKENS * WIDTH * MLP)
    repeated = VISION + TEXT + ATTENTION - last
    assert full.executed - none.executed == pytest.approx(2 * ROWS * repeated, rel=1e-9)


@pytest.mark.parametrize("parts", [1, 2])
def test_kernels_visit_what_is_visible(folder, monkeypatch, parts):
    changes = {
        "model__remat": NO_REMAT,
        "gradient_accumulation": parts,
        "data__max_sample_tokens": 32,
        "data__max_image_patches": 16,
    }
    reference = count(folder, **changes)
    monkeypatch.setitem(kernels._OF_PLATFORM, "cpu", "splash")  # To be traced, not to be run.
    found = count(folder, attention="splash", **changes)
    assert found.needed == reference.needed
    # Nine products instead of six: both kernels of the backward pass compute the scores.
    vision = LAYERS * 9 * PATCHES * 16 * WIDTH
    text = LAYERS * 9 * TOKENS * 32 / 2 * HEADS * HEAD_DIM
    # And the sum of output times gradient.
    delta = LAYERS * (PATCHES * WIDTH + TOKENS * HEADS * HEAD_DIM)
    expected = reference.executed - 2 * ROWS * (3 * ATTENTION - vision - text - delta)
    assert found.executed == pytest.approx(expected, rel=1e-9)


def test_full_rows_hold_the_longest_samples(folder):
    data = run_config(folder, data__max_sample_tokens=40, data__max_image_patches=32).data
    row = full_row(data)
    assert np.bincount(row.text.segment_ids[0]).tolist() == [0, 40, 40, 16]
    assert np.bincount(row.images.segment_ids[0]).tolist() == [0, 32, 32]
    assert row.loss_weights.sum() == SUPERVISED
