import re
from contextlib import closing

import pytest

from tests.commands import run_all
from tests.training.runs import run_config, write_checkpoint, write_config_file, write_dataset
from vlm3_jax.data.encoder import Encoder
from vlm3_jax.data.pipeline import train_iterator


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    write_dataset(folder)
    write_checkpoint(folder / "checkpoint")
    return folder


@pytest.mark.slow
def test_training_fills_the_proposed_rows(inputs):
    config_file = write_config_file(inputs)
    # Each of the twelve records twenty times.
    wanted = ["--token_fill=0.9", "--patch_fill=0.8", "--num_samples=240"]
    done, unpacked, impossible = run_all(
        "launch.propose_budgets",
        [
            [f"--config={config_file}", "--config.data.open_rows=8", *wanted],
            [f"--config={config_file}"],
            [f"--config={config_file}", "--config.data.open_rows=1", "--token_fill=1"],
        ],
    )
    assert done.status == 0, done.err
    assert "240 samples of made_up, questions 'turns':" in done.out
    assert re.search(r"^  patches +mean +21\.3 +least +16 +most +24$", done.out, re.MULTILINE)
    open_rows, max_tokens, max_patches, max_supervised = map(
        int, re.findall(r"--\S+=(\d+)", done.out)
    )
    assert open_rows == 8

    config = run_config(
        inputs,
        data__open_rows=8,
        data__max_tokens=max_tokens,
        data__max_patches=max_patches,
        data__max_supervised=max_supervised,
    )
    encoder = Encoder.from_folder(inputs / "checkpoint")
    with closing(train_iterator(config.data, encoder, batch_size=100, seed=0)) as batches:
        batch = next(batches)
    assert (batch.text.segment_ids > 0).mean() > 0.89
    assert (batch.images.segment_ids > 0).mean() > 0.79

    for run, message in ((unpacked, "config.data.open_rows is 0"), (impossible, "no row of up to")):
        assert run.status == 2
        assert run.err.startswith(f"error: {message}") and run.err.count("\n") == 1
