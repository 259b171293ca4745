import sys
from types import SimpleNamespace

import numpy as np
import pytest
from tensorboardX.proto.event_pb2 import Event

import vlm3_jax.boards
from vlm3_jax.boards import Boards, WandbConfig
from vlm3_jax.errors import BadInput

PIXELS = np.full((4, 6, 3), 200, np.uint8)


def events(folder) -> list[Event]:
    """TensorBoard's records: a length of 8 bytes and its check of 4, the event, its check of 4."""
    (path,) = (folder / "tensorboard").iterdir()
    data, found = path.read_bytes(), []
    while data:
        length = int.from_bytes(data[:8], "little")
        found.append(Event.FromString(data[12 : 12 + length]))
        data = data[16 + length :]
    return found


def test_tensorboard_gets_figures_and_pictures(tmp_path):
    with Boards(tmp_path, first_step=1) as boards:
        boards.scalars(3, {"train/loss": 0.25})
        boards.picture(3, "eval/rooms", PIXELS, "a room")
    values = {
        value.tag: (event.step, value)
        for event in events(tmp_path)
        for value in event.summary.value
    }
    step, loss = values["train/loss"]
    assert (step, loss.simple_value) == (3, 0.25)
    _, picture = values["eval/rooms"]
    assert (picture.image.height, picture.image.width) == (4, 6)
    assert not (tmp_path / "wandb").exists()


def test_wandb_gets_the_same_and_knows_the_run_again(tmp_path, monkeypatch):
    calls = []
    service = SimpleNamespace(
        init=lambda **settings: calls.append(("init", settings)) or service,
        log=lambda values, step: calls.append(("log", step, values)),
        finish=lambda: calls.append(("finish",)),
        Image=lambda pixels, caption: (pixels.shape, caption),
    )
    monkeypatch.setitem(sys.modules, "wandb", service)
    monkeypatch.setattr(vlm3_jax.boards, "find_spec", lambda name: object())
    config = WandbConfig(project="rooms", mode="offline")
    for first_step in (1, 4):
        with Boards(tmp_path, first_step, config, {"seed": 7}) as boards:
            boards.scalars(first_step, {"train/loss": 0.5})
            boards.picture(first_step, "eval/rooms", PIXELS, "a room")
    one, two = (settings for kind, settings, *_ in filter(lambda c: c[0] == "init", calls))
    assert one == two and one["project"] == "rooms" and len(one["id"]) == 16
    assert one["config"] == {"seed": 7} and one["mode"] == "offline"
    assert ("log", 4, {"train/loss": 0.5}) in calls
    assert ("log", 4, {"eval/rooms": ((4, 6, 3), "a room")}) in calls
    assert calls[-1] == ("finish",)


def test_wandb_keeps_a_run_offline(tmp_path, monkeypatch):
    pytest.importorskip("wandb", reason="wandb is optional, and not installed")
    monkeypatch.setenv("WANDB_SILENT", "true")
    with Boards(tmp_path, 1, WandbConfig(project="rooms", mode="offline")) as boards:
        boards.scalars(1, {"train/loss": 0.5})
        boards.picture(1, "eval/rooms", PIXELS, "a room")
    assert list((tmp_path / "wandb").glob("offline-run-*/*.wandb"))


def test_wandb_is_asked_for_where_it_is_missing(monkeypatch):
    monkeypatch.setattr(vlm3_jax.boards, "find_spec", lambda name: None)
    with pytest.raises(BadInput, match="project needs wandb: run `pip install wandb`"):
        WandbConfig(project="rooms")
    assert WandbConfig().project is None
