"""Correspondence, pose and objects in Python, with a decoder that says what it is told."""

import re

import numpy as np
import pytest

from tests.prediction.speaking import Told
from tests.tiny import textured_image
from vlm3_jax import Predictor
from vlm3_jax.data.encoder import Encoder
from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.pose import from_yaw_pitch_roll, relative_pose
from vlm3_jax.tasks import pose

FIRST, SECOND = (90, 120), (128, 64)  # Height and width.
BOX = "bounding box region (250, 111, 500, 1000)"


@pytest.fixture(scope="module")
def encoder(tiny_hf) -> Encoder:
    return Encoder.from_folder(tiny_hf)


@pytest.fixture(scope="module")
def images() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(2)
    return textured_image(rng, *FIRST), textured_image(rng, *SECOND)


def predictor(encoder, say, **settings) -> tuple[Predictor, Told]:
    told = Told(encoder, say)
    return Predictor(encoder, told, **settings), told


def mirrored(prompt: str) -> str:
    """Says that the second image is the first turned upside down and mirrored."""
    x, y = re.fullmatch(
        r"Given these two images, what pixel in the second image corresponds to pixel"
        r" \((\d+), (\d+)\) in the first image\? Report the answer as \(x, y\)\.",
        prompt,
    ).groups()
    return f"({1000 - int(x)}, {1000 - int(y)})"


def test_correspondences_are_pixels_of_the_second_image(encoder, images, rng):
    found, told = predictor(encoder, mirrored)
    points = rng.uniform(0, 1, (20, 2)) * (FIRST[1] - 1, FIRST[0] - 1)
    matches = found.correspondence(*images, points)
    assert matches.shape == (20, 2) and matches.dtype == np.float64
    second = np.array(SECOND[::-1])
    expected = (1 - points / FIRST[::-1]) * second
    assert np.abs((matches - expected) / second).max() <= 0.0005 + 1e-12
    # 1024x768 and 512x1024 pixels, a patch each 16x16.
    assert told.patches == [[64 * 48, 32 * 64]]
    assert told.expected == "(123, 456)"


def test_the_longer_side_of_both_is_as_asked(encoder, images):
    found, told = predictor(encoder, mirrored)
    found.correspondence(*images, [(1, 2)], longer_side=256)
    assert told.patches == [[16 * 12, 8 * 16]]


def test_no_position_is_nan_and_one_outside_is_kept(encoder, images):
    said = iter(["I cannot say.", "(1500, -10)", "(1e308, 5)", "<think> (1, 2) </think>\n(500, 0)"])
    found, _ = predictor(encoder, lambda prompt: next(said))
    matches = found.correspondence(images[1], np.zeros((90, 2000, 3), np.uint8), [(1, 1)] * 4)
    np.testing.assert_array_equal(matches, [[np.nan] * 2, [3000, -0.9], [np.nan] * 2, [1000, 0]])
    assert found.correspondence(*images, []).shape == (0, 2)


def questions_of(c2w_1: np.ndarray, c2w_2: np.ndarray) -> dict[str, str]:
    return {q.prompt: q.answer for q in pose.ask(c2w_1, c2w_2, metric=True)}


def test_poses_are_put_together_from_the_answers(encoder, images):
    c2w_1, c2w_2 = np.eye(4), np.eye(4)
    c2w_1[:3, :3], c2w_1[:3, 3] = from_yaw_pitch_roll(40, -20, 5), (1, 2, 3)
    c2w_2[:3, :3], c2w_2[:3, 3] = from_yaw_pitch_roll(100, 10, -15), (2.5, 1.5, 4)
    rotation, translation = relative_pose(c2w_1, c2w_2)

    found, told = predictor(encoder, questions_of(c2w_1, c2w_2).__getitem__)
    moved = found.pose(*images, (250, 250, 60, 45), (150, 150, 32, 64))
    np.testing.assert_allclose(moved.rotation, rotation, atol=0.003)
    np.testing.assert_allclose(moved.translation, translation, atol=0.02)
    assert np.linalg.norm(moved.direction) == pytest.approx(1)
    assert moved.stated.angle == pytest.approx(
        np.degrees(np.arccos((np.trace(rotation) - 1) / 2)), abs=0.06
    )
    assert list(moved.said) == list(pose.KINDS)
    # At a focal length of 750 pixels 360x270 and 320x640, by Qwen's rule 352x256 and 320x640.
    assert told.patches == [[22 * 16, 20 * 40]]
    assert told.expected.startswith("Yaw=")


def test_the_focal_length_is_that_of_the_predictor(encoder, images):
    answers = questions_of(np.eye(4), np.eye(4))
    found, told = predictor(encoder, lambda prompt: answers.get(prompt, "None."), focal=200.0)
    found.pose(images[0], images[0], (100, 100, 60, 45), (200, 200, 60, 45))
    assert told.patches == [[16 * 12, 8 * 6]]  # 240x180 and 120x90.


@pytest.mark.parametrize("vector", ["", "(0, 0, 0)"])
def test_what_is_not_said_of_a_pose_is_none(encoder, images, vector):
    said = iter(["9 degrees", "left", f"The camera moves, unit vector {vector}.", "2 m"])
    found, _ = predictor(encoder, lambda prompt: next(said))
    moved = found.pose(*images, (250, 250, 60, 45), (250, 250, 32, 64))
    assert moved.rotation is None and moved.direction is None and moved.translation is None
    assert moved.stated.angle == 9 and moved.stated.distance == 2


@pytest.mark.parametrize(
    ("answer", "metres", "hour"),
    [
        (f"The width of {BOX} is 120 cm.", 1.2, None),
        ("It is 2 feet 6 inches wide.", 0.762, None),
        (f"{BOX} is at 3 o'clock.", None, 3),
        ("Yes, it is.", None, None),
    ],
)
def test_boxes_are_named_and_numbers_read(encoder, images, answer, metres, hour):
    prompts = []
    found, told = predictor(encoder, lambda prompt: prompts.append(prompt) or answer)
    boxes, question = [(30, 10, 60, 90), (0, 0, 12, 9)], "How wide is Region [0]?"
    said = found.objects(images[0], boxes, question, (500, 500, 60, 45))
    assert prompts == [said.prompt] == [f"How wide is {BOX}?"]
    assert said.metres == (None if metres is None else pytest.approx(metres))
    assert said.clock_hour == hour and said.said.text == answer
    found.objects(images[0], boxes, question)
    # 240x180 at a focal length of 1000 pixels, and 120x90 as it is.
    assert told.patches == [[16 * 12], [8 * 6]]


def test_bad_input(encoder, images):
    found, _ = predictor(encoder, lambda prompt: "")
    camera = (250, 250, 60, 45)
    with pytest.raises(BadInput, match=r"the point \(120, 5\) is outside the image of 120x90"):
        found.correspondence(*images, [(120, 5)])
    with pytest.raises(BadInput, match="points are no pixels"):
        found.correspondence(*images, [1, 2, 3])
    with pytest.raises(BadInput, match="longer_side is 1, but must be in 2 to 10,000"):
        found.correspondence(*images, [(1, 5)], longer_side=1)
    with pytest.raises(BadInput, match="fx is 0"):
        found.pose(*images, camera, (0, 250, 60, 45))
    with pytest.raises(BadInput, match="boxes are none"):
        found.objects(images[0], [1, 2, 3], "Region [0]")
    with pytest.raises(BadInput, match="is no box of the image of 120x90"):
        found.objects(images[0], [(5, 5, 5, 9)], "Region [0]")
