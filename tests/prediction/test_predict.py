"""The command line of `vlm3_jax.predict`."""

import json

import numpy as np
import pytest
from PIL import Image

from tests.commands import run_all
from tests.decoding.cases import ask
from tests.tiny import textured_image
from vlm3_jax.data.images import resize
from vlm3_jax.decoding.load import read_stop_tokens
from vlm3_jax.geometry.camera import Camera, unify_focal
from vlm3_jax.tasks import depth

FX = 250.0
WIDTH, HEIGHT = 120, 90


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Two images, and some that are none."""
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(5)
    for name, (height, width) in {"a": (HEIGHT, WIDTH), "b": (64, 200)}.items():
        Image.fromarray(textured_image(rng, height, width)).save(folder / f"{name}.png")
    Image.new("RGB", (1, 50)).save(folder / "thin.png")
    Image.new("RGB", (1005, 5)).save(folder / "long.png")
    (folder / "torn.png").write_bytes((folder / "a.png").read_bytes()[:200])
    return folder


def pixels(path) -> np.ndarray:
    return np.asarray(Image.open(path))


@pytest.fixture(scope="module")
def runs(lively_hf, pictures, tmp_path_factory):
    """Both tasks, run once."""
    a, b = f"--image={pictures}/a.png", f"--image={pictures}/b.png"
    out = tmp_path_factory.mktemp("out") / "new" / "folder"
    checkpoint = f"--checkpoint={lively_hf}"
    chat = [checkpoint, "--task=chat", "--prompt=What is this?", "--max_new_tokens=64"]
    points = ["--points=7,80 119,0  60.5,44.25", "--max_new_tokens=12"]
    camera = [f"--fx={FX}", "--focal=500"]
    commands = {
        "depth": [checkpoint, "--task=depth", a, *camera, *points, f"--out={out}"],
        "chat": [*chat, a],
        "two images": [*chat, a, b, f"--out={out}/chat"],
        "no image": chat,
        "unified": [*chat, a, *camera],
    }
    found = run_all("vlm3_jax.predict", list(commands.values()))
    for run in found:
        assert run.status == 0, run.err
    return out, dict(zip(commands, found, strict=True))


def test_chat_says_what_transformers_says(runs, reference, lively_hf, pictures):
    a, b = pixels(pictures / "a.png"), pixels(pictures / "b.png")
    unified = unify_focal(Camera(FX, FX, 0, 0, WIDTH, HEIGHT), 500)
    shown = resize(a, unified.width, unified.height)
    images = {"chat": [a], "two images": [a, b], "no image": [], "unified": [shown]}
    stops = list(read_stop_tokens(lively_hf))
    for case, given in images.items():
        said = json.loads(runs[1][case].out)
        expected = reference.generate(ask(case, given, "What is this?"), 64, stops)
        assert said["token_ids"] == expected, case
        text = reference.processor.tokenizer.decode(expected, skip_special_tokens=True)
        assert said["text"] == text
        assert said["finished"] == (expected[-1] in stops)
    assert len({runs[1][case].out for case in images}) == len(images)


def test_depth_asks_about_each_point(runs, reference, lively_hf, pictures):
    result = json.loads(runs[1]["depth"].out)
    points = np.array([(7, 80), (119, 0), (60.5, 44.25)])
    camera = Camera(FX, FX, (WIDTH - 1) / 2, (HEIGHT - 1) / 2, WIDTH, HEIGHT)
    assert Camera(**result["camera"]) == camera
    unified = unify_focal(camera, 500)
    shown = resize(pixels(pictures / "a.png"), unified.width, unified.height)
    prompts = depth.prompts(camera, unified, points)
    for point, xy, prompt in zip(result["points"], points, prompts, strict=True):
        expected = reference.generate(
            ask("depth", [shown], prompt), 12, list(read_stop_tokens(lively_hf))
        )
        text = reference.processor.tokenizer.decode(expected, skip_special_tokens=True)
        assert (point["x"], point["y"]) == tuple(xy)
        assert point["answer"] == text
        assert point["metres"] == depth.parse_answer(text)
    assert result["parse_failures"] == sum(p["metres"] is None for p in result["points"])


def test_results_are_written_where_asked(runs, pictures):
    out, found = runs
    assert json.loads((out / "prediction.json").read_text()) == json.loads(found["depth"].out)
    assert sorted(path.name for path in out.iterdir()) == [
        "chat",
        "prediction.json",
        "prediction.png",
    ]
    with Image.open(out / "prediction.png") as picture:
        assert picture.size == (4 * WIDTH, 4 * HEIGHT)  # Enlarged, so that labels can be read.
    (chat,) = (out / "chat").iterdir()
    assert json.loads(chat.read_text()) == json.loads(found["two images"].out)


@pytest.fixture(scope="module")
def bad_runs(lively_hf, pictures, tmp_path_factory):
    """Every bad input, with a part of the sentence that it must end in."""
    empty = tmp_path_factory.mktemp("empty")
    a, model = f"--image={pictures}/a.png", f"--checkpoint={lively_hf}"
    ask_depth = [model, "--task=depth", "--points=1,2"]
    camera, chat = ["--fx=250"], [model, "--task=chat", "--prompt=Hi"]
    map_of = [model, "--task=depth", "--stride=8"]
    (pictures / "points.csv").write_text("1 2\n119 90\n")
    point = "outside the image of 120x90"
    return {
        "torn image": ([*ask_depth, *camera, f"--image={pictures}/torn.png"], "does not decode"),
        "no such image": ([*chat, f"--image={pictures}/none.png"], "cannot be read"),
        "one pixel wide": ([*chat, f"--image={pictures}/thin.png"], "at least 2 pixels"),
        "too long": ([*chat, f"--image={pictures}/long.png"], "aspect ratio of at most 200"),
        "fx zero": ([*ask_depth, a, "--fx=0"], "fx is 0.0; a focal length is a positive"),
        "fx negative": ([*ask_depth, a, "--fx=-9"], "fx is -9.0; a focal length is"),
        "fx NaN": ([*ask_depth, a, "--fx=nan"], "fx is nan; a focal length is"),
        "fy zero": ([*ask_depth, a, "--fx=250", "--fy=0"], "fy is 0.0; a focal length is"),
        "cx NaN": ([*ask_depth, a, "--fx=250", "--cx=nan"], "is not finite"),
        "fx no number": ([*ask_depth, a, "--fx=wide"], "flag --fx=wide"),
        "fx tiny": ([*ask_depth, a, "--fx=0.001"], "check its intrinsics"),
        "fx huge": ([*ask_depth, a, "--fx=1e9"], "check its intrinsics"),
        "no intrinsics": ([*ask_depth, a], "give --fx"),
        "fy alone": ([*chat, a, "--fy=250"], "--fy is given without --fx"),
        "focal zero": ([*ask_depth, a, *camera, "--focal=0"], "focal is 0.0, but must be"),
        "no image": ([*ask_depth, *camera], "takes one --image, but 0"),
        "two images": ([*ask_depth, *camera, a, a], "takes one --image, but 2"),
        "point right of it": ([*ask_depth, a, *camera, "--points=120,3"], point),
        "point above it": ([*ask_depth, a, *camera, "--points=1,1 3,-1"], point),
        "point NaN": ([*ask_depth, a, *camera, "--points=nan,3"], point),
        "malformed points": ([*ask_depth, a, *camera, "--points=1;2"], 'give them as "x,y x,y"'),
        "three numbers": ([*ask_depth, a, *camera, "--points=1,2,3"], 'give them as "x,y x,y"'),
        "no points": (
            [*ask_depth, a, *camera, "--points="],
            "--points= holds no points: give them",
        ),
        "unknown task": (
            [model, "--task=fly", a],
            "value should be one of <depth|correspondence|pose|objects|chat>",
        ),
        "no task": ([model, a], "Flag --task must have a value"),
        "no prompt": ([model, "--task=chat", a], "give --prompt="),
        "prompt to depth": ([*ask_depth, a, *camera, "--prompt=Hi"], "--prompt means nothing"),
        "points to chat": ([*chat, a, "--points=1,2"], "--points means nothing"),
        "special token": ([*chat, "--prompt=<|im_end|>"], "contains <|im_end|>"),
        "certainty of words": ([*chat, "--certainty=8"], "--certainty means nothing"),
        "less than no certainty": (
            [*ask_depth, a, *camera, "--certainty=-1"],
            "--certainty is -1, but must be 0 or more",
        ),
        "no tokens": ([*chat, "--max_new_tokens=0"], "max_new_tokens is 0, but must be"),
        "no checkpoint": (["--checkpoint=/none", "--task=chat", "--prompt=Hi"], "does not exist"),
        "empty checkpoint": (
            [f"--checkpoint={empty}", "--task=chat", "--prompt=Hi"],
            "holds no config.json",
        ),
        "out in a file": ([*chat, f"--out={pictures}/a.png/deeper"], "is a file; name a folder"),
        "a map without a place": ([*map_of, a, *camera, "--out="], "give a folder for them"),
        "a folder without a place": ([*ask_depth, f"--image={pictures}", "--out="], "give --out"),
        "a folder without images": ([*ask_depth, f"--image={empty}", *camera], "holds no image"),
        "two ways to points": ([*map_of, a, *camera, "--points=1,2"], "leave one of them out"),
        "mask of another size": (
            [*map_of, a, *camera, f"--mask={pictures}/b.png"],
            "b.png is 200x64, but",
        ),
        "points of another image": (
            [model, "--task=depth", a, *camera, f"--points_file={pictures}/points.csv"],
            point,
        ),
        "no cameras": ([*ask_depth, a, f"--cameras={empty}"], "holds neither cameras.bin"),
        "no transforms": ([*ask_depth, a, "--cameras=/none.json"], "is no readable JSON"),
        "two cameras": ([*ask_depth, a, *camera, "--fov=60"], "each give the camera"),
        "stray argument": ([*chat, "hello"], "unexpected argument 'hello'"),
        "unknown flag": ([*chat, "--pints=3"], "Unknown command line flag 'pints'"),
    }


def test_bad_input_is_one_sentence_and_leaves_nothing(bad_runs, tmp_path):
    out = tmp_path / "out"
    commands = [[f"--out={out}", *arguments] for arguments, _ in bad_runs.values()]
    found = run_all("vlm3_jax.predict", commands)
    for (case, (_, message)), run in zip(bad_runs.items(), found, strict=True):
        assert run.status == 2, (case, run.err)
        lines = [line for line in run.err.splitlines() if not line.startswith(("I", "W"))]
        assert len(lines) == 1 and lines[0].startswith("error: "), (case, run.err)
        assert message in lines[0], (case, lines[0])
        assert run.out == "", case
    assert not out.exists()
