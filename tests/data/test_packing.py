from collections.abc import Sequence

import grain
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tiny import textured_image
from vlm3_jax.data.chat import Sample, Turn
from vlm3_jax.data.encoder import Encoded, Encoder, Size
from vlm3_jax.data.packing import FirstFit, PackIterDataset, join

SIZES = st.lists(
    st.builds(Size, st.integers(1, 10), st.integers(0, 10), st.integers(0, 10)), max_size=60
)


@pytest.fixture(scope="module")
def samples(encoder: Encoder) -> list[Encoded]:
    """Two images and two questions, one image, none, one image of another size."""
    rng = np.random.default_rng(0)
    images = textured_image(rng, 64, 96), textured_image(rng, 32, 64)
    turns = (Turn("How far?", "1.0 m"), Turn("And how far is this?", "12.0 m"))
    return [
        encoder.encode(Sample(images, turns, "two"), "independent"),
        encoder.encode(Sample(images[:1], turns[:1], "one")),
        encoder.encode(Sample((), turns, "none")),
        encoder.encode(Sample(images[1:], turns, "other"), "independent"),
    ]


def assert_equal(one: Encoded, other: Encoded) -> None:
    assert one.key == other.key
    for a, b in zip(arrays(one), arrays(other), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


def arrays(encoded: Encoded) -> list[np.ndarray]:
    return [*encoded.text, *encoded.images, encoded.targets, encoded.loss_weights]


def test_a_row_of_one_sample_is_the_sample(samples):
    for sample in samples:
        assert_equal(join([sample]), sample)


def test_samples_stand_one_after_another(samples):
    row = join(samples)
    lengths, patches, _ = zip(*(sample.size for sample in samples), strict=True)
    assert row.key == "two, one, none, other"
    np.testing.assert_array_equal(row.text.segment_ids, np.repeat([1, 2, 3, 4], lengths))
    # Two images, one, none and one, numbered through.
    np.testing.assert_array_equal(row.images.segment_ids, np.repeat([1, 2, 3, 4], [24, 8, 24, 8]))
    assert patches == (32, 24, 0, 8)
    for name in ("tokens", "positions", "question_ids"):  # As if each were alone.
        parts = [getattr(sample.text, name) for sample in samples]
        np.testing.assert_array_equal(getattr(row.text, name), np.concatenate(parts))
    for name in ("patches", "positions", "interp_indices", "interp_weights"):
        parts = [getattr(sample.images, name) for sample in samples]
        np.testing.assert_array_equal(getattr(row.images, name), np.concatenate(parts))
    for name in ("targets", "loss_weights"):
        parts = [getattr(sample, name) for sample in samples]
        np.testing.assert_array_equal(getattr(row, name), np.concatenate(parts))
    for one, alone in zip(arrays(row), arrays(samples[0]), strict=True):
        assert one.dtype == alone.dtype


def test_every_image_token_finds_the_patches_of_its_image(samples):
    row = join(samples)
    merged = row.images.patches.reshape(-1, 4 * 768)
    start = 0
    for sample in samples:
        own = sample.images.patches.reshape(-1, 4 * 768)
        index = row.text.visual_index[start : start + len(sample.text.tokens)]
        shown = sample.text.visual_index >= 0
        np.testing.assert_array_equal(index >= 0, shown)
        np.testing.assert_array_equal(merged[index[shown]], own[sample.text.visual_index[shown]])
        start += len(sample.text.tokens)


@given(SIZES, st.integers(0, 5))
def test_first_fit(sizes, max_open):
    packer = FirstFit(Size(10, 10, 10), max_open)
    closed = []
    for number, size in enumerate(sizes):
        before = [row.size for row in packer.open_rows]
        row = packer.add(number, size)
        closed += [row] if row else []
        holder = [number in r.members for r in [*([row] if row else []), *packer.open_rows]]
        fits = [max(np.add(used, size)) <= 10 for used in before]
        assert holder.index(True) == (fits.index(True) if any(fits) else len(before))
    assert len(packer.open_rows) <= max_open
    rows = [*closed, *packer.open_rows]
    assert sorted(member for row in rows for member in row.members) == list(range(len(sizes)))
    for row in rows:
        assert row.size == tuple(np.sum([sizes[member] for member in row.members], axis=0))
        assert max(row.size) <= 10
    firsts = [row.members[0] for row in rows]
    assert firsts == sorted(firsts)  # Rows close in the order in which they were opened.
    if not max_open:
        assert [row.members for row in rows] == [[number] for number in range(len(sizes))]


class Stream(Sequence):
    """The samples again and again, in an order that a seed decides; counts what it gives."""

    def __init__(self, samples: list[Encoded], length: int):
        rng = np.random.default_rng(0)
        self._samples = [samples[i] for i in rng.integers(len(samples), size=length)]
        self.given: list[int] = []

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> Encoded:
        self.given.append(index)
        return self._samples[index]


def pack(stream: Stream, open_rows: int) -> grain.DatasetIterator:
    parent = grain.MapDataset.source(stream).to_iter_dataset(grain.ReadOptions(0, 0))
    dataset = PackIterDataset(parent, stream.__getitem__, Size(420, 70, 420), open_rows)
    return iter(dataset)


@pytest.mark.parametrize("open_rows", [0, 1, 3])
def test_a_restored_packer_goes_on_in_the_middle_of_its_rows(open_rows, samples):
    whole = pack(Stream(samples, 60), open_rows)
    expected, states = [], []
    for _ in range(12):
        states.append(whole.get_state())
        expected.append(next(whole))
    held = [sum(map(len, state["open_rows"])) for state in states]
    if open_rows > 1:
        assert max(held) > open_rows  # Some open row holds several samples.
    for after in (0, 1, 5, 10):
        stream = Stream(samples, 60)
        restored = pack(stream, open_rows)
        next(restored)  # What it did before does not matter.
        stream.given.clear()
        restored.set_state(states[after])
        assert restored.get_state() == states[after]
        assert len(stream.given) == held[after]  # Only what is in open rows is made again.
        for row in expected[after:]:
            assert_equal(next(restored), row)
