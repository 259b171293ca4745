import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from tests.prediction.speaking import Oracle
from tests.tiny import textured_image
from vlm3_jax import Predictor
from vlm3_jax.data.encoder import Encoder
from vlm3_jax.errors import BadInput
from vlm3_jax.geometry.camera import Camera
from vlm3_jax.prediction.images import as_camera, read_image

FX = 100.0


@pytest.fixture(scope="module")
def encoder(tiny_hf) -> Encoder:
    return Encoder.from_folder(tiny_hf)


def predictor(encoder, depth_of) -> Predictor:
    return Predictor(encoder, Oracle(encoder, depth_of), focal=200.0)


def test_each_cell_of_a_map_is_asked_at_its_own_pixel(encoder, rng):
    # A depth that names the point: its x, and a thousandth of its y, as far as two decimals go.
    found = predictor(encoder, lambda x, y: x + y / 2500)
    image = textured_image(rng, 50, 80)
    metres = found.depth_map(image, (FX, FX, 40, 25), stride=10)
    assert metres.shape == (5, 8) and metres.dtype == np.float32
    columns, rows = np.arange(5, 80, 10), np.arange(5, 50, 10)
    expected = np.round(columns / 80 * 2000) + np.round(rows / 50 * 2000)[:, None] / 2500
    np.testing.assert_allclose(metres, expected, atol=0.005)


def test_no_number_is_nan(encoder):
    said = {0: "I cannot say.", 500: "<answer> -3 </answer>", 1000: 2.5, 1500: "<answer> 0 "}
    said[1500] += "</answer>"
    found = predictor(encoder, lambda x, y: said[x])
    image = np.zeros((40, 80, 3), np.uint8)
    points = [(0, 3), (20, 3), (40, 3), (60, 3)]
    metres = found.depth(image, (FX, FX, 40, 20), points)
    np.testing.assert_array_equal(metres, np.array([np.nan, np.nan, 2.5, np.nan], np.float32))
    assert found.depth(image, (FX, FX, 40, 20), np.empty((0, 2))).shape == (0,)


def test_numbers_beyond_float32_are_no_distance(encoder):
    found = predictor(encoder, lambda x, y: "<answer> 1e39 </answer>")
    assert np.isnan(found.depth(np.zeros((9, 9, 3), np.uint8), (FX, FX, 4, 4), [(1, 1)])).all()


def test_images_come_as_files_pil_images_and_pixels(encoder, rng, tmp_path):
    pixels = textured_image(rng, 40, 60)
    path = tmp_path / "a.png"
    Image.fromarray(pixels).save(path)
    for image in (path, str(path), Image.open(path), Image.fromarray(pixels), pixels):
        np.testing.assert_array_equal(read_image(image), pixels)


def test_intrinsics_come_as_cameras_numbers_and_matrices():
    camera = Camera(100, 110, 30, 20, 60, 40)
    for intrinsics in (camera, (100, 110, 30, 20), np.array([100, 110, 30, 20]), camera.matrix):
        assert as_camera(intrinsics, 60, 40) == camera


@pytest.mark.parametrize(
    ("image", "intrinsics", "points", "message"),
    [
        ("/none.png", (FX, FX, 1, 1), [(1, 1)], "/none.png cannot be read"),
        (np.zeros((9, 9), np.uint8), (FX, FX, 1, 1), [(1, 1)], r"uint8 \[9, 9\], but must be"),
        (np.zeros((9, 9, 3)), (FX, FX, 1, 1), [(1, 1)], "is float64"),
        (Image.new("F", (9, 9)), (FX, FX, 1, 1), [(1, 1)], "floating-point"),
        (None, (FX, FX, 1), [(1, 1)], r"have the shape \[3\]: give fx, fy, cx, cy"),
        (None, (0, FX, 1, 1), [(1, 1)], "the intrinsics: fx is 0"),
        (None, Camera(FX, FX, 1, 1, 8, 9), [(1, 1)], "a 8x9 image, but this one is 9x9"),
        (None, (FX, FX, 1, 1), [(9, 1)], r"the point \(9, 1\) is outside the image of 9x9"),
        (None, (FX, FX, 1, 1), [1, 2, 3], "points are no pixels"),
    ],
)
def test_bad_input(encoder, image, intrinsics, points, message):
    image = np.zeros((9, 9, 3), np.uint8) if image is None else image
    with pytest.raises(BadInput, match=message):
        predictor(encoder, lambda x, y: 1.0).depth(image, intrinsics, points)


def test_a_checkpoint_in_one_line(speaking_hf, rng):
    found = Predictor.from_pretrained(speaking_hf, focal=100, max_new_tokens=8, questions=4)
    image = textured_image(rng, 64, 96)
    np.testing.assert_array_equal(found.depth(image, (FX, FX, 48, 32), [(1, 2)] * 5), [2.5] * 5)
    assert found.chat([image], "Hi").text == "<answer> 2.5 </answer>"
    with pytest.raises(BadInput, match="focal is -1"):
        Predictor.from_pretrained(speaking_hf, focal=-1)


def test_the_package_itself_is_cheap():
    script = (
        "import sys, vlm3_jax, vlm3_jax.geometry.camera, vlm3_jax.geometry.intrinsics,"
        " vlm3_jax.geometry.grid, vlm3_jax.tasks.depth;"
        "heavy = {'jax', 'flax', 'transformers', 'PIL'} & set(sys.modules);"
        "assert not heavy, heavy;"
        "from vlm3_jax import Predictor; assert 'jax' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=400)
    import vlm3_jax

    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = vlm3_jax.Nothing
