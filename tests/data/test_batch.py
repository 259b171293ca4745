import numpy as np
import pytest

from tests.tiny import textured_image
from vlm3_jax.data.batch import check_reach, check_size, pad
from vlm3_jax.data.chat import Sample, Turn
from vlm3_jax.data.encoder import Encoded, Encoder, Size
from vlm3_jax.errors import BadInput


@pytest.fixture
def rows(encoder: Encoder, rng) -> list[Encoded]:
    images = textured_image(rng, 64, 96), textured_image(rng, 32, 32)
    turns = (Turn("How far?", "1.0 m"), Turn("And this?", "2.0 m"))
    return [
        encoder.encode(Sample(images, turns, "two"), "independent"),
        encoder.encode(Sample(images[:1], turns[:1], "one")),
        encoder.encode(Sample((), turns, "none")),
    ]


def test_rows_stand_first_and_padding_is_inert(rows):
    batch = pad(rows, max_tokens=200, max_patches=40)
    assert batch.text.tokens.shape == (3, 200) and batch.images.patches.shape == (3, 40, 768)
    for i, row in enumerate(rows):
        length, patches = len(row.text.tokens), len(row.images.patches)
        for array, expected in zip(batch.text, row.text, strict=True):
            np.testing.assert_array_equal(array[i, :length], expected)
            assert array.dtype == expected.dtype
        for array, expected in zip(batch.images, row.images, strict=True):
            np.testing.assert_array_equal(array[i, :patches], expected)
            assert array.dtype == expected.dtype
            assert (array[i, patches:] == 0).all()
        np.testing.assert_array_equal(batch.targets[i, :length], row.targets)
        np.testing.assert_array_equal(batch.loss_weights[i, :length], row.loss_weights)
        assert (batch.text.segment_ids[i, length:] == 0).all()
        assert (batch.text.visual_index[i, length:] == -1).all()
        assert (batch.loss_weights[i, length:] == 0).all()


def test_visual_tokens_and_patches_belong_together(rows):
    for row in rows:
        merged = row.images.segment_ids.reshape(-1, 4)
        assert (merged == merged[:, :1]).all()  # A language token never mixes two images.
        assert len(merged) == row.text.visual_index.max(initial=-1) + 1


@pytest.mark.parametrize(
    ("budgets", "message"),
    [
        ((30, 40, 30), r"^two needs \d+ tokens, but max_tokens is 30: raise it"),
        ((200, 24, 30), "^two needs 28 patches, but max_patches is 24: raise it"),
        ((200, 40, 5), r"^two needs \d+ answer tokens, but max_supervised is 5: raise it"),
    ],
)
def test_a_sample_over_the_budget_is_named(budgets, message, rows):
    with pytest.raises(BadInput, match=message):
        check_size(rows[0], Size(*budgets))
    check_size(rows[0], rows[0].size)
    exact = max(row.size.tokens for row in rows)
    assert pad(rows, exact, 28).text.tokens.shape == (3, exact)


def test_a_sample_beyond_the_reach_of_kernels_is_named(rows):
    size = rows[0].size
    largest = np.bincount(rows[0].images.segment_ids).max()
    check_reach(rows[0], None, None)
    check_reach(rows[0], size.tokens, largest)
    with pytest.raises(BadInput, match=r"^two needs \d+ tokens, but max_sample_tokens is"):
        check_reach(rows[0], size.tokens - 1, None)
    with pytest.raises(BadInput, match=r"^two has an image of \d+ patches, but max_image_patches"):
        check_reach(rows[0], None, largest - 1)
