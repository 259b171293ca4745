import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from vlm3_jax.data import bicubic

SIDES = st.integers(1, 150)


def pillow(image: np.ndarray, width: int, height: int) -> np.ndarray:
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC))


def noise(rng: np.random.Generator, height: int, width: int, extreme: bool = False) -> np.ndarray:
    """Levels without any order; the extreme ones alone overshoot most."""
    levels = rng.integers(0, 256, (height, width, 3), np.uint8)
    return np.where(levels < 128, np.uint8(0), np.uint8(255)) if extreme else levels


@settings(max_examples=400, deadline=None)
@given(SIDES, SIDES, SIDES, SIDES, st.booleans(), st.integers(0, 2**32 - 1))
def test_levels_are_pillows(width, height, new_width, new_height, extreme, seed):
    image = noise(np.random.default_rng(seed), height, width, extreme)
    own = bicubic.resize(image, new_width, new_height)
    np.testing.assert_array_equal(own, pillow(image, new_width, new_height))


# Cameras to a focal length of 1000 and back, one side kept, and sides that differ greatly.
@pytest.mark.parametrize(
    ("size", "new"),
    [
        ((640, 480), (1215, 920)),
        ((1215, 920), (1216, 928)),
        ((1920, 1453), (1215, 920)),
        ((4032, 3024), (1153, 865)),
        ((1216, 480), (1216, 928)),
        ((640, 928), (1216, 928)),
        ((3000, 2), (5, 700)),
        ((2, 3000), (700, 5)),
    ],
)
def test_levels_are_pillows_at_the_sizes_of_cameras(size, new, rng):
    image = noise(rng, size[1], size[0])
    np.testing.assert_array_equal(bicubic.resize(image, *new), pillow(image, *new))


@settings(max_examples=100, deadline=None)
@given(
    SIDES, SIDES, st.integers(1, 4), st.integers(1, 4), st.integers(1, 3), st.sampled_from([1, 14])
)
def test_patches_hold_the_resized_image(width, height, block_rows, block_columns, merge, size):
    image = noise(np.random.default_rng(0), height, width)
    rows, columns = block_rows * merge, block_columns * merge
    patches = bicubic.resize_to_patches(image, rows, columns, size, merge)
    expected = pillow(image, columns * size, rows * size)
    number = 0
    for block_row in range(block_rows):
        for block_column in range(block_columns):
            for row in range(block_row * merge, (block_row + 1) * merge):
                for column in range(block_column * merge, (block_column + 1) * merge):
                    cut = expected[row * size : (row + 1) * size]
                    cut = cut[:, column * size : (column + 1) * size]
                    np.testing.assert_array_equal(
                        patches[number].reshape(3, size, size), cut.transpose(2, 0, 1)
                    )
                    number += 1
    assert number == len(patches)


def test_images_need_not_be_writable_or_contiguous(rng):
    image = noise(rng, 40, 60)
    image.flags.writeable = False
    np.testing.assert_array_equal(bicubic.resize(image, 31, 77), pillow(image, 31, 77))
    turned = image[::-1, ::2]
    expected = pillow(np.ascontiguousarray(turned), 31, 77)
    np.testing.assert_array_equal(bicubic.resize(turned, 31, 77), expected)


def test_other_threads_run_meanwhile(rng):
    image = noise(rng, 3000, 3000)
    done = threading.Event()

    def work():
        bicubic.resize(image, 2999, 2999)
        done.set()

    threading.Thread(target=work).start()
    turns = 0
    while not done.wait(0.0005):  # With the lock held throughout, there would be none.
        turns += 1
        time.sleep(0)
    assert turns >= 3
