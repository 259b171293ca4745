from collections import Counter
from contextlib import closing
from dataclasses import replace

import grain
import numpy as np
import orbax.checkpoint as ocp
import pytest
from PIL import Image

from tests.data import toy
from vlm3_jax.data.mixture import SourceConfig
from vlm3_jax.data.pipeline import DataConfig, train_iterator
from vlm3_jax.data.sampling import DepthSampling, Samplings
from vlm3_jax.errors import BadInput
from vlm3_jax.models.inputs import Batch

BATCH = 4
# A sample takes about 500 tokens and 16 to 24 patches.
PACKED = {"open_rows": 3, "max_tokens": 2000, "max_patches": 80, "max_supervised": 2000}


@pytest.fixture(scope="module")
def config(toy_data) -> DataConfig:
    return DataConfig(
        data_dir=str(toy_data),
        sources={"toy": SourceConfig(toy.NAME, "depth")},
        max_tokens=720,
        max_patches=32,
        max_supervised=200,
        samplings=Samplings(depth=DepthSampling(focal=60.0, questions_per_image=2)),
    )


def take(config, encoder, count: int, **options) -> list[Batch]:
    with closing(iterate(config, encoder, **options)) as batches:
        return [next(batches) for _ in range(count)]


def iterate(config, encoder, **options) -> grain.DatasetIterator:
    return train_iterator(config, encoder, **{"batch_size": BATCH, "seed": 3, **options})


def arrays(batch: Batch) -> list[np.ndarray]:
    return [*batch.text, *batch.images, batch.targets, batch.loss_weights, batch.source_ids]


def assert_equal(batches: list[Batch], expected: list[Batch]) -> None:
    assert len(batches) == len(expected)
    for one, other in zip(batches, expected, strict=True):
        for a, b in zip(arrays(one), arrays(other), strict=True):
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)


def views(batch: Batch, encoder) -> list[int]:
    """Which view each row shows: the whole metres of its first answer tell."""
    rows = zip(batch.targets, batch.loss_weights, strict=True)
    texts = [encoder.decode(targets[weights > 0]) for targets, weights in rows]
    return [int(text.split("around ")[1].split(".")[0]) - 1 for text in texts]


def samples(batch: Batch, encoder) -> list[tuple[int, str]]:
    """Which view each packed sample shows, and its whole text."""
    found = []
    for row in range(len(batch.targets)):
        for segment in range(1, batch.text.segment_ids[row].max() + 1):
            own = batch.text.segment_ids[row] == segment
            answer = encoder.decode(batch.targets[row][own & (batch.loss_weights[row] > 0)])
            view = int(answer.split("around ")[1].split(".")[0]) - 1
            found.append((view, encoder.decode(batch.text.tokens[row][own])))
    return found


def texts(batch: Batch, encoder) -> list[str]:
    rows = zip(batch.text.tokens, batch.text.segment_ids, strict=True)
    return [encoder.decode(tokens[segments > 0]) for tokens, segments in rows]


def test_batches_have_the_shapes_of_the_budgets(config, encoder):
    for batch in take(config, encoder, 3):
        for name, array in zip(batch.text._fields, batch.text, strict=True):
            assert array.shape[:2] == (BATCH, config.max_tokens), name
        for name, array in zip(batch.images._fields, batch.images, strict=True):
            assert array.shape[:2] == (BATCH, config.max_patches), name
        assert batch.targets.shape == batch.loss_weights.shape == (BATCH, config.max_tokens)


def test_every_epoch_shows_every_view_once_in_a_new_order(config, encoder):
    seen = [view for batch in take(config, encoder, 9) for view in views(batch, encoder)]
    epochs = [seen[i : i + 9] for i in range(0, 36, 9)]
    assert all(sorted(epoch) == list(range(9)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 4


def test_every_epoch_draws_other_points(config, encoder):
    asked = {text for batch in take(config, encoder, 9) for text in texts(batch, encoder)}
    assert len(asked) > 27  # Of 36: 9 views with 20 ordered pairs of points each.


def test_the_image_backend_changes_nothing_but_the_way(config, encoder, monkeypatch):
    exact = take(config, encoder, 2)
    monkeypatch.setattr(Image.Image, "resize", None)  # Pillow's; the decoder of PNGs remains.
    assert_equal(take(replace(config, image_backend="fast"), encoder, 2), exact)


def test_the_seed_decides_everything(config, encoder):
    first = take(config, encoder, 3)
    assert_equal(take(config, encoder, 3), first)
    other = take(config, encoder, 3, seed=4)
    assert [views(batch, encoder) for batch in other] != [views(batch, encoder) for batch in first]


@pytest.mark.parametrize("count", [2, 4])
def test_processes_share_the_global_batches(count, config, encoder):
    expected = take(config, encoder, 3)
    shares = [take(config, encoder, 3, process_index=i, process_count=count) for i in range(count)]
    joined = []
    for parts in zip(*shares, strict=True):
        text, images, *rest = ([getattr(part, name) for part in parts] for name in Batch._fields)
        joined.append(
            Batch(
                type(text[0])(*map(np.concatenate, zip(*text, strict=True))),
                type(images[0])(*map(np.concatenate, zip(*images, strict=True))),
                *map(np.concatenate, rest),
            )
        )
    assert_equal(joined, expected)


@pytest.mark.slow
def test_workers_make_the_same_batches_and_resume_exactly(config, encoder, tmp_path):
    expected = take(config, encoder, 7)
    with_workers = replace(config, num_workers=2)
    with closing(iterate(with_workers, encoder)) as batches:
        first = [next(batches) for _ in range(3)]
        save(tmp_path, batches)
        more = [next(batches) for _ in range(2)]
    assert_equal(first + more, expected[:5])
    with closing(iterate(with_workers, encoder)) as batches:
        restore(tmp_path, batches)
        assert_equal([next(batches) for _ in range(4)], expected[3:])


def save(folder, batches) -> None:
    with ocp.CheckpointManager(folder / "checkpoints") as manager:
        manager.save(3, args=ocp.args.Composite(data=grain.checkpoint.CheckpointSave(batches)))


def restore(folder, batches) -> None:
    with ocp.CheckpointManager(folder / "checkpoints") as manager:
        args = ocp.args.Composite(data=grain.checkpoint.CheckpointRestore(batches))
        manager.restore(3, args=args)


@pytest.mark.parametrize("after", [0, 1, 5])
def test_a_restored_iterator_goes_on_with_the_next_batch(after, config, encoder, tmp_path):
    expected = take(config, encoder, 7)
    with closing(iterate(config, encoder)) as batches:
        for _ in range(after):
            next(batches)
        save(tmp_path, batches)
    with closing(iterate(config, encoder)) as batches:
        next(batches)  # What it did before does not matter.
        restore(tmp_path, batches)
        assert_equal([next(batches) for _ in range(7 - after)], expected[after:])


@pytest.mark.parametrize("count", [1, 2])
def test_processes_pack_the_same_samples_and_drop_none(count, config, encoder):
    unpacked = take(config, encoder, 24)
    expected = [sample for batch in unpacked for sample in samples(batch, encoder)]
    share = BATCH // count
    for process in range(count):
        options = {"process_index": process, "process_count": count}
        with closing(iterate(replace(config, **PACKED), encoder, **options)) as batches:
            found = [sample for _ in range(4) for sample in samples(next(batches), encoder)]
            state = batches.get_state()
        assert len(found) > 2 * 4 * share  # More than two samples a row.
        own = [
            sample
            for start in range(process * share, len(expected), BATCH)
            for sample in expected[start : start + share]
        ]
        waiting = [own[index] for indices in state["open_rows"] for index in indices]
        assert Counter(found + waiting) == Counter(own[: state["drawn"]])


def test_packed_batches_do_not_mix_samples(config, encoder):
    (batch,) = take(replace(config, **PACKED), encoder, 1)
    for row in range(BATCH):
        segments, visual = batch.text.segment_ids[row], batch.text.visual_index[row]
        images = batch.images.segment_ids[row].reshape(-1, 4)[:, 0]
        for segment in range(1, segments.max() + 1):
            own = visual[(segments == segment) & (visual >= 0)]
            assert set(images[own]) == {segment}  # One image a sample.
            assert len(own) == (images == segment).sum()


@pytest.mark.parametrize(
    ("workers", "after"), [(0, 0), (0, 1), (0, 3), pytest.param(2, 3, marks=pytest.mark.slow)]
)
def test_packed_batches_resume_exactly_whatever_the_workers(
    workers, after, config, encoder, tmp_path
):
    options = {"process_index": 1, "process_count": 2}
    packed = replace(config, **PACKED)
    expected = take(packed, encoder, 6, **options)
    packed = replace(packed, num_workers=workers)
    with closing(iterate(packed, encoder, **options)) as batches:
        assert_equal([next(batches) for _ in range(after)], expected[:after])
        save(tmp_path, batches)
        held = batches.get_state()["open_rows"]
    if after:
        assert max(map(len, held)) > 1  # A row is half full.
    with closing(iterate(packed, encoder, **options)) as batches:
        restore(tmp_path, batches)
        assert_equal([next(batches) for _ in range(6 - after)], expected[after:])


def test_independent_questions_see_themselves_only(config, encoder):
    batch, *_ = take(replace(config, questions="independent"), encoder, 1)
    assert batch.text.question_ids.max() == 2
    assert (batch.text.question_ids[batch.text.visual_index >= 0] == 0).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"max_tokens": 50}, "tokens, but max_tokens is 50"),
        ({"max_patches": 8}, "patches, but max_patches is 8"),
        ({"max_patches": 8, "open_rows": 2}, "patches, but max_patches is 8"),
        ({"max_supervised": 9}, "answer tokens, but max_supervised is 9"),
        pytest.param(
            {"max_tokens": 50, "num_workers": 1},
            "tokens, but max_tokens is 50",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_row_over_the_budget_is_named(change, message, config, encoder):
    with pytest.raises(BadInput, match=rf"^toy/scene\d/\d needs \d+ {message}"):
        take(replace(config, **change), encoder, 1)


def test_settings_that_cannot_be_used_are_refused(config, encoder):
    for name, value in (
        ("max_tokens", 0),
        ("max_patches", 0),
        ("max_supervised", 0),
        ("num_workers", -1),
        ("open_rows", -1),
    ):
        with pytest.raises(BadInput, match=f"^{name} is {value}, but must be at least"):
            replace(config, **{name: value})
    with pytest.raises(BadInput, match="must be a multiple of 4"):
        iterate(replace(config, max_patches=30), encoder)
    with pytest.raises(BadInput, match="which 3 processes do not share"):
        iterate(config, encoder, process_count=3)
    with pytest.raises(BadInput, match="holds no built dataset"):
        iterate(replace(config, sources={"toy": SourceConfig("nothing", "depth")}), encoder)
