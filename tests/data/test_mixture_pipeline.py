"""The whole pipeline on a mixture of four tasks: what batches hold, processes, resuming."""

from collections import Counter
from contextlib import closing
from dataclasses import replace

import pytest

from tests.data import toy_mixture
from tests.data.test_pipeline import BATCH, assert_equal, iterate, restore, save, take
from tests.data.toy_mixture import SOURCES
from vlm3_jax.data.pipeline import DataConfig, drawn_samples, open_sources

# A sample takes 100 to 1300 tokens.
PACKED = {"open_rows": 3, "max_tokens": 2600, "max_patches": 96, "max_supervised": 2600}
LABELS = sorted(SOURCES)
SAID = {"views": "meters away", "matches": "(", "moves": "", "regions": "meters wide"}


@pytest.fixture(scope="module")
def config(tmp_path_factory) -> DataConfig:
    return toy_mixture.config(toy_mixture.build(tmp_path_factory.mktemp("mixture")))


def test_batches_tell_the_source_of_every_sample(config, encoder):
    seen = Counter()
    for batch in take(replace(config, **PACKED), encoder, 8):
        for row in range(BATCH):
            segments = batch.text.segment_ids[row]
            assert (batch.source_ids[row][segments == 0] == 0).all()
            for segment in range(1, segments.max() + 1):
                own = segments == segment
                (source,) = set(batch.source_ids[row][own].tolist())
                answer = encoder.decode(batch.targets[row][own & (batch.loss_weights[row] > 0)])
                assert SAID[LABELS[source]] in answer
                images = batch.images.segment_ids[row].reshape(-1, 4)[:, 0]
                visual = batch.text.visual_index[row][own]
                num_images = len(set(images[visual[visual >= 0]].tolist()))
                assert num_images == (2 if LABELS[source] in ("matches", "moves") else 1)
                seen[LABELS[source]] += 1
    assert set(seen) == set(LABELS) and seen["views"] > seen["regions"]


@pytest.mark.parametrize("count", [2, 4])
def test_processes_share_the_samples_and_together_see_all(count, config, encoder):
    order = drawn_samples(open_sources(config), config, encoder, 3)
    expected = [order[index].sample for index in range(24)]
    own = []
    for process in range(count):
        batches = take(config, encoder, 6, process_index=process, process_count=count)
        own.append([row_tokens(batch, row) for batch in batches for row in range(BATCH // count)])
    share = BATCH // count
    for index, sample in enumerate(expected):
        batch, place = divmod(index, BATCH)
        process, row = divmod(place, share)
        assert own[process][batch * share + row] == sample.text.tokens.tolist()


def row_tokens(batch, row: int) -> list[int]:
    return batch.text.tokens[row][batch.text.segment_ids[row] > 0].tolist()


@pytest.mark.parametrize(
    "workers",
    [0, pytest.param(2, marks=pytest.mark.slow), pytest.param(4, marks=pytest.mark.slow)],
)
@pytest.mark.parametrize("count", [1, 2, 4])
def test_resume_is_bit_exact_whatever_the_processes_and_workers(
    workers, count, config, encoder, tmp_path
):
    """The last process stands for the others where there are workers, which take long to start."""
    packed = replace(config, **PACKED)
    for process in range(count) if not workers else [count - 1]:
        options = {"process_index": process, "process_count": count}
        expected = take(packed, encoder, 5, **options)
        with_workers = replace(packed, num_workers=workers)
        folder = tmp_path / str(process)
        with closing(iterate(with_workers, encoder, **options)) as batches:
            assert_equal([next(batches) for _ in range(2)], expected[:2])
            save(folder, batches)
            assert max(map(len, batches.get_state()["open_rows"])) > 1  # A row is half full.
        with closing(iterate(with_workers, encoder, **options)) as batches:
            restore(folder, batches)
            assert_equal([next(batches) for _ in range(3)], expected[2:])
