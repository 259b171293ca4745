import json

import pytest
from transformers import AutoModelForImageTextToText, AutoTokenizer

from launch.model_sizes import SIZES
from launch.task_texts import TEXTS
from tests.commands import run_all
from vlm3_jax.data.encoder import Encoder
from vlm3_jax.tasks import correspondence, depth, pose


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Folders of all sizes, one with weights; what a second try and an unknown task said."""
    folder = tmp_path_factory.mktemp("made")
    commands = [[f"--size={s}", f"--dst={folder / s}", "--noweights"] for s in SIZES]
    commands += [["--size=tiny", f"--dst={folder / 'weights'}"]]
    commands += [["--size=tiny", f"--dst={folder / 'tiny'}"]]
    tasks = ",".join(TEXTS)
    commands.insert(
        0, ["--size=tiny", f"--dst={folder / 'all'}", "--noweights", f"--tasks={tasks}"]
    )
    commands += [["--size=tiny", f"--dst={folder / 'none'}", "--tasks=dept"]]
    *runs, again, unknown = run_all("launch.make_model", commands)
    for run in runs:
        assert run.status == 0, run.err
    return folder, again, unknown


@pytest.mark.parametrize("size", SIZES)
def test_folder_without_weights(made, size):
    folder = made[0] / size
    assert not list(folder.glob("*.safetensors"))
    encoder = Encoder.from_folder(folder)
    assert encoder.config.text.vocab_size >= len(AutoTokenizer.from_pretrained(folder))
    assert encoder.config.tie_word_embeddings == (size not in ("8b", "32b"))


def test_transformers_opens_the_weights(made):
    model = AutoModelForImageTextToText.from_pretrained(made[0] / "weights")
    assert sum(p.numel() for p in model.parameters()) == pytest.approx(1.4e6, rel=0.02)
    here, there = (
        json.loads((made[0] / f / "config.json").read_text()) for f in ("tiny", "weights")
    )
    assert here["text_config"]["hidden_size"] == there["text_config"]["hidden_size"] == 128


def test_every_fixed_text_of_a_task_is_one_token(made):
    encoder = Encoder.from_folder(made[0] / "all")
    for text, number_of_tokens in (
        (depth.format_answer(1.25), 11),
        (correspondence.PROMPT.format(x=12, y=345), 8),
        (pose.RELEASED["angle"], 1),
        (pose.format_yaw_pitch_roll(1.5, 2.5, -3.5), 3 * 5 + 2),
        ("The camera moves left, up, unit vector (-0.69, +0.02, +0.72).", 5 + 17 + 1),
    ):
        tokens = encoder.tokenizer(text)["input_ids"]
        assert len(tokens) == number_of_tokens and encoder.decode(tokens) == text


def test_an_unknown_task_is_refused(made):
    assert made[2].status == 2
    assert made[2].err.startswith("error: --tasks names 'dept': choose of depth, ")


def test_nothing_is_overwritten(made):
    folder, again, _ = made
    assert again.status == 2
    assert (
        again.err
        == f"error: {folder / 'tiny'} exists and is not empty: give a new folder or remove it.\n"
    )
