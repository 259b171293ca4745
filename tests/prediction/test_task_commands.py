"""`vlm3_jax.predict` for correspondence, pose and objects: prompts, results and bad input."""

import json

import numpy as np
import pytest
from PIL import Image

from tests.commands import run_all
from tests.decoding.cases import ask
from tests.prediction.speaking import write_speaking_hf
from tests.tiny import textured_image
from vlm3_jax.data.images import resize
from vlm3_jax.decoding.load import read_stop_tokens
from vlm3_jax.tasks import correspondence, objects, pose

TOKENS = 12
SIZES = {"a": (90, 120), "b": (64, 200), "c": (90, 120)}  # Height and width.
QUESTION = "How far apart are Region [0] and Region [1]?"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(6)
    for name, size in SIZES.items():
        Image.fromarray(textured_image(rng, *size)).save(folder / f"{name}.png")
    Image.new("RGB", (300, 3)).save(folder / "long.png")
    return folder


@pytest.fixture(scope="module")
def pointing_hf(tmp_path_factory):
    """A tiny model that points at the middle of the upper quarter."""
    folder = tmp_path_factory.mktemp("speaking") / "pointing"
    return write_speaking_hf(folder, ["(500,", " 250)"])


@pytest.fixture(scope="module")
def runs(lively_hf, pointing_hf, pictures, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    a, b, c = (f"--image={pictures}/{name}.png" for name in "abc")
    lively, pointing = f"--checkpoint={lively_hf}", f"--checkpoint={pointing_hf}"
    match = ["--task=correspondence", a, b, "--points=7,80 119,0 60.5,44.25", "--longer_side=160"]
    commands = {
        "correspondence": [lively, *match],
        "pointing": [pointing, *match],
        "pose": [lively, "--task=pose", a, c, "--fx=250", "--cy=40"],
        "objects": [
            lively,
            "--task=objects",
            a,
            "--boxes=30,10,60,90 0,0,12,9",
            f"--prompt={QUESTION}",
        ],
    }
    found = run_all(
        "vlm3_jax.predict",
        [[f"--max_new_tokens={TOKENS}", f"--out={out}/{k}", *v] for k, v in commands.items()],
    )
    for run in found:
        assert run.status == 0, run.err
    return out, dict(zip(commands, found, strict=True))


def printed(runs, name: str) -> dict:
    result = json.loads(runs[1][name].out)
    assert json.loads((runs[0] / name / "prediction.json").read_text()) == result
    return result


def pixels(path) -> np.ndarray:
    return np.asarray(Image.open(path))


@pytest.fixture(scope="module")
def theirs(reference, lively_hf):
    """What transformers says to a prompt about images."""

    def say(images: list[np.ndarray], prompt: str) -> str:
        sample = ask("a question", images, prompt)
        tokens = reference.generate(sample, TOKENS, list(read_stop_tokens(lively_hf)))
        return reference.processor.tokenizer.decode(tokens, skip_special_tokens=True)

    return say


def test_correspondence_asks_as_released(runs, theirs, pictures):
    result = printed(runs, "correspondence")
    shown = [
        resize(pixels(pictures / "a.png"), 160, 120),
        resize(pixels(pictures / "b.png"), 160, 51),
    ]
    names = ["58, 889", "992, 0", "504, 492"]  # Of 7/120, 80/90; 119/120, 0; 60.5/120, 44.25/90.
    for point, name in zip(result["points"], names, strict=True):
        prompt = (
            f"Given these two images, what pixel in the second image corresponds to pixel ({name})"
            " in the first image? Report the answer as (x, y)."
        )
        assert point["answer"] == theirs(shown, prompt)
        assert (point["x2"] is None) == (correspondence.parse_answer(point["answer"]) is None)
    assert [(p["x1"], p["y1"]) for p in result["points"]] == [(7, 80), (119, 0), (60.5, 44.25)]


def test_matches_are_pixels_and_lines(runs, pictures):
    result = printed(runs, "pointing")
    assert [(p["x2"], p["y2"], p["finished"]) for p in result["points"]] == [(100, 16, True)] * 3
    counts = ("questions", "parse_failures", "unfinished", "outside")
    assert [result[key] for key in counts] == [3, 0, 0, 0]
    assert result["longer_side"] == 160
    picture = pixels(runs[0] / "pointing" / "prediction.png")
    assert picture.shape == (2 * 90, 2 * 320, 3)
    # Of both ends and the middle of the first line, in its colour.
    for x, y in ((7, 80), (63.5 + 50, 48)):
        assert picture[int(2 * y) + 1, int(2 * x) + 1].tolist() == [255, 64, 64]


def test_answers_that_cannot_be_read_are_counted_and_shown(runs):
    # Random weights say nothing that can be read, and seldom come to an end.
    result, err = printed(runs, "correspondence"), runs[1]["correspondence"].err
    assert result["parse_failures"] == result["questions"] == 3
    assert all((point["x2"], point["y2"]) == (None, None) for point in result["points"])
    unfinished = sum(not point["finished"] for point in result["points"])
    assert result["unfinished"] == unfinished > 0
    first = result["points"][0]
    assert f"3 of 3 answers cannot be read; the first, to (7, 80): {first['answer']!r}" in err
    assert f"{unfinished} of 3 answers were cut at --max_new_tokens={TOKENS}" in err
    assert printed(runs, "objects")["unfinished"] == 1
    assert f"the answer was cut at --max_new_tokens={TOKENS}" in runs[1]["objects"].err


def test_pose_asks_as_released(runs, theirs, pictures):
    result = printed(runs, "pose")
    shown = [resize(pixels(pictures / f"{name}.png"), 360, 270) for name in "ac"]
    assert result["focal"] == 750 and result["camera_sources"] == ["--fx", "--fx"]
    assert [(camera["fx"], camera["cy"]) for camera in result["cameras"]] == [(250, 40)] * 2
    assert [answer["kind"] for answer in result["answers"]] == list(pose.KINDS)
    for answer in result["answers"]:
        text = theirs(shown, pose.RELEASED[answer["kind"]])
        assert answer["answer"] == text
        assert answer["stated"] == pose.parse_answer(answer["kind"], text)
    keys = ("angle_degrees", "yaw_pitch_roll_degrees", "direction", "distance_metres")
    assert sum(result[key] is None for key in keys) == result["parse_failures"]
    assert "only where the checkpoint was trained on metric poses" in runs[1]["pose"].err
    assert [path.name for path in (runs[0] / "pose").iterdir()] == ["prediction.json"]


def test_objects_ask_about_boxes_of_the_image_as_it_is(runs, theirs, pictures):
    result = printed(runs, "objects")
    prompt = (
        "How far apart are bounding box region (250, 111, 500, 1000)"
        " and bounding box region (0, 0, 100, 100)?"
    )
    assert result["prompt"] == prompt and result["question"] == QUESTION
    assert result["answer"] == theirs([pixels(pictures / "a.png")], prompt)
    assert result["metres"] == objects.parse_answer("distance_data", result["answer"])
    assert result["camera"] is result["camera_source"] is result["focal"] is None
    assert "a.png is unknown, so that it is shown as it is" in runs[1]["objects"].err
    picture = pixels(runs[0] / "objects" / "prediction.png")
    assert picture[4 * 50 + 2, 4 * 30 + 2].tolist() == [255, 64, 64]


@pytest.fixture(scope="module")
def bad_runs(lively_hf, pictures):
    """Every bad input, with a part of the sentence that it must end in."""
    a, b, c = (f"--image={pictures}/{name}.png" for name in "abc")
    model = f"--checkpoint={lively_hf}"
    match = [model, "--task=correspondence", a]
    points, boxes, camera = "--points=1,2", "--boxes=1,2,3,4", "--fx=250"
    move = [model, "--task=pose", a]
    about = [model, "--task=objects", a]
    how = "--prompt=How wide is Region [0]?"
    return {
        "one image": ([*match, points], "--task=correspondence takes two, --image=A --image=B"),
        "three images": (
            [*move, a, a, camera],
            "--task=pose takes two, --image=A --image=B, but 3",
        ),
        "no points": ([*match, b], 'give --points="x,y x,y" or --points_file'),
        "points of the other image": ([*match, b, "--points=150,3"], "outside the image of 120x90"),
        "a grid": ([*match, b, "--stride=8"], "--stride means nothing to --task=correspondence"),
        "a camera": ([*match, b, points, camera], "--fx means nothing to --task=correspondence"),
        "no side": ([*match, b, points, "--longer_side=0"], "longer_side is 0, but must be in 2"),
        "thin": (
            [*match, f"--image={pictures}/long.png", points, "--longer_side=100"],
            "at least 2 pixels a side",
        ),
        "no such image": ([*match, "--image=/none.png", points], "/none.png cannot be read"),
        "no intrinsics": ([*move, c], "its camera is unknown"),
        "two sizes": ([*move, b, camera], "the images are 120x90 and 200x64: give --fov"),
        "fx zero": ([*move, c, "--fx=0"], "fx is 0.0; a focal length is"),
        "focal zero": ([*move, c, camera, "--focal=0"], "focal is 0.0, but must be"),
        "points to pose": ([*move, c, camera, points], "--points means nothing to --task=pose"),
        "no boxes": ([*about, how], "--task=objects needs boxes to ask about: give --boxes="),
        "no question": ([*about, boxes], "--task=objects needs a question: give --prompt="),
        "no region": ([*about, boxes, "--prompt=How wide?"], "refers to no box: write Region [0]"),
        "no such region": (
            [*about, boxes, "--prompt=Region [1]?"],
            "refers to region 1, but has 1 boxes, counted from 0",
        ),
        "three numbers": ([*about, "--boxes=1,2,3", how], 'are no boxes: give them as "x1,y1,x2'),
        "an empty box": ([*about, "--boxes=5,5,5,9", how], "(5, 5, 5, 9) is no box of the image"),
        "a box outside": ([*about, "--boxes=5,5,121,9", how], "is no box of the image of 120x90"),
        "a box of NaN": ([*about, "--boxes=5,5,nan,9", how], "is no box of the image of 120x90"),
        "boxes to chat": ([model, "--task=chat", "--prompt=Hi", boxes], "--boxes means nothing"),
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
