import numpy as np
import pytest
from PIL import Image

from tests.tfds_builders.known_geometry import image_file
from tfds_builders.raw_files import read_mask, read_numbers, read_uint16
from vlm3_jax.errors import BadInput

VALUES = np.array([[0, 1, 65535], [512, 4000, 16000]], np.uint16)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.png"


def test_depth_and_masks(path):
    path.write_bytes(image_file(VALUES))
    read = read_uint16(path)
    np.testing.assert_array_equal(read, VALUES)
    assert read.dtype == np.uint16
    assert read_mask(path).tolist() == [[False, True, True], [True, True, True]]
    for mode in ("1", "L"):
        Image.fromarray(np.uint8([[0, 255]])).convert(mode).save(path)
        assert read_mask(path).tolist() == [[False, True]]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (image_file(np.zeros((4, 4), np.uint8)), "a.png is no 16-bit image"),
        (image_file(np.zeros((4, 4, 3), np.uint8)), "a.png has 3 channels"),
        (image_file(np.tile(VALUES, (99, 99)))[:-200], "a.png does not decode"),
        (b"no image", "a.png does not decode"),
    ],
)
def test_what_is_no_depth_map_is_named(path, data, message):
    path.write_bytes(data)
    with pytest.raises(BadInput, match=message):
        read_uint16(path)


def test_a_missing_file_is_an_error_that_names_it(path):
    with pytest.raises(FileNotFoundError, match=r"a\.png"):
        read_uint16(path)


def test_numbers(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("1.5, 2\n3e1\t4\n")
    assert read_numbers(path, 4) == [1.5, 2, 30, 4]
    with pytest.raises(BadInput, match=r"a\.txt holds 4 numbers instead of 9"):
        read_numbers(path, 9)
    for text in ("", "1 two", "\x80"):
        path.write_text(text)
        with pytest.raises(BadInput, match=r"a\.txt holds something else than numbers"):
            read_numbers(path, 4)
