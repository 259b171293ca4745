"""Whose records are drawn, how often and in which order; no image is touched."""

import itertools
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from absl import logging

from tests.data import toy, toy_mixture
from tests.data.toy_mixture import SOURCES, WITHOUT_MATCHES
from vlm3_jax.data.mixture import SourceConfig, draw_order, open_mixture, shares
from vlm3_jax.data.pipeline import DataConfig, drawn_samples, open_sources, train_iterator
from vlm3_jax.data.sampling import Samplings
from vlm3_jax.errors import BadInput

NUM_DRAWS = 20_000
# The paper's depth mixture; some sources are seen whole many times, some never.
SIZES = {"av2": 3000, "hm3d": 900_000, "matterport": 900, "nuscenes": 300, "waymo": 400}
SHARES = {"av2": 0.21, "hm3d": 0.7, "matterport": 0.006, "nuscenes": 0.044, "waymo": 0.04}


def draws(count: int = NUM_DRAWS, seed: int = 3, sizes=SIZES, shares=SHARES) -> np.ndarray:
    order = draw_order(sizes, shares, seed)
    return np.array([order[i] for i in range(count)])


@pytest.fixture(scope="module")
def drawn() -> np.ndarray:
    return draws()


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return toy_mixture.build(tmp_path_factory.mktemp("mixture"))


def assert_shares(counts: Counter, expected: list[float], tolerance: float) -> None:
    total = sum(counts.values())
    for source, share in enumerate(expected):
        assert abs(counts[source] / total - share) <= tolerance, source


def test_shares_are_the_weights(drawn):
    counts = Counter(drawn[:, 0].tolist())
    assert_shares(counts, list(SHARES.values()), 0.0005)
    # Within 1% of the weight itself, and half a window's remainder of it.
    for source, share in enumerate(SHARES.values()):
        assert counts[source] == pytest.approx(share * NUM_DRAWS, rel=0.01, abs=4)


@pytest.mark.parametrize(("processes", "batch_size"), [(2, 2), (2, 8), (4, 4), (4, 256), (8, 64)])
def test_every_process_sees_every_source(drawn, processes, batch_size):
    batches = drawn[: NUM_DRAWS // batch_size * batch_size, 0].reshape(
        -1, processes, batch_size // processes
    )
    for process in range(processes):
        counts = Counter(batches[:, process].reshape(-1).tolist())
        assert_shares(counts, list(SHARES.values()), 0.02)


@pytest.mark.parametrize("processes", [2, 4])
def test_a_process_does_not_fall_into_step_with_the_sources(processes):
    order = draws(2048, sizes={"a": 700, "b": 700}, shares={"a": 0.5, "b": 0.5})
    for process in range(processes):
        assert 0.4 < order[process::processes, 0].mean() < 0.6


def test_every_epoch_of_a_source_is_a_new_permutation(drawn):
    alone = draws(600, sizes={"waymo": 200}, shares={"waymo": 1.0})[:, 1].reshape(3, 200)
    assert (np.sort(alone, axis=1) == np.arange(200)).all()
    assert len({tuple(epoch) for epoch in alone}) == 3
    for source, size in enumerate(SIZES.values()):
        records = drawn[drawn[:, 0] == source, 1]
        counts = np.bincount(records, minlength=size)
        assert len(counts) == size
        # The last window may hold draws of a later epoch, but not those of this one.
        assert counts.max() <= len(records) // size + 2
        assert counts.min() >= len(records) // size - 1


def test_the_order_is_that_of_the_seed(drawn):
    np.testing.assert_array_equal(draws(500), drawn[:500])
    assert (draws(500, seed=4) != drawn[:500]).any(axis=1).mean() > 0.5
    order = draw_order(SIZES, SHARES, 3)
    assert [tuple(order[i]) for i in (777, 5, 15_000)] == [
        tuple(drawn[i]) for i in (777, 5, 15_000)
    ]


def test_a_sources_own_order_does_not_depend_on_the_others():
    alone = draws(1024, sizes={"waymo": 500}, shares={"waymo": 1.0})[:, 1]
    beside = draws(2048, sizes={"a": 900, "waymo": 500}, shares={"a": 0.5, "waymo": 0.5})
    # Windows mix up the order, not what is drawn until their end.
    records = beside[beside[:, 0] == 1, 1]
    assert Counter(records.tolist()) == Counter(alone.tolist())


def test_sources_of_one_size_have_orders_of_their_own():
    order = draws(1024, sizes={"a": 400, "b": 400}, shares={"a": 0.5, "b": 0.5})
    of = [order[order[:, 0] == source, 1][:100].tolist() for source in (0, 1)]
    assert of[0] != of[1]


def source(task="depth", **settings) -> SourceConfig:
    return SourceConfig("some/set", task, **settings)


def test_shares_by_weight_and_by_size():
    by_size = {"a": source(), "b": source(repeats=3), "c": source(weight=0.0)}
    assert shares(by_size, {}, {"a": 30, "b": 10}) == {"a": 0.5, "b": 0.5}
    by_weight = {"b": source(weight=3), "a": source(weight=1)}
    assert shares(by_weight, {}, {"a": 9, "b": 1}) == {"a": 0.25, "b": 0.75}


def test_task_weights_stand_apart():
    sources = {
        "a": source(weight=30),
        "b": source(weight=10),
        "c": source("pose"),
        "d": source("pose"),
        "e": source("objects"),
    }
    weights = {"depth": 1, "pose": 3, "objects": 0}
    found = shares(sources, weights, {"c": 1, "d": 2})
    assert found == pytest.approx({"a": 3 / 16, "b": 1 / 16, "c": 1 / 4, "d": 1 / 2})


def test_sizes_and_caps_of_built_sets(data_dir):
    sources = {
        "views": SourceConfig(toy.NAME, "depth"),
        "few": SourceConfig(toy.NAME, "depth", max_records=4, repeats=2),
        "pairs": SourceConfig("toy_pairs", "pose", max_records=100),
    }
    few, pairs, views = open_mixture(str(data_dir), sources, {}, Samplings())
    assert [len(few), len(pairs), len(views)] == [4, 7, 9]
    assert [few.share, pairs.share, views.share] == pytest.approx([8 / 24, 7 / 24, 9 / 24])
    keys = [few[i].key for i in range(4)]
    assert len(set(keys)) == 4 and set(keys) < {views[i].key for i in range(9)}
    # The same ones in any run; other than the first ones.
    again, *_ = open_mixture(str(data_dir), {"x": sources["few"]}, {}, Samplings())
    assert [again[i].key for i in range(4)] == keys != [views[i].key for i in range(4)]


def test_a_source_may_lie_elsewhere(data_dir):
    elsewhere = {"views": replace(SOURCES["views"], data_dir=str(data_dir))}
    (views,) = open_mixture("/nowhere", elsewhere, {}, Samplings())
    assert len(views) == 9


def test_a_source_of_weight_zero_need_not_exist(data_dir):
    sources = SOURCES | {"gone": SourceConfig("gone", "depth", weight=0.0)}
    config = toy_mixture.config(data_dir, sources=sources)
    assert list(config.active_sources) == ["matches", "moves", "regions", "views"]
    assert [s.label for s in open_sources(config)] == list(config.active_sources)


def config(sources, **changes) -> DataConfig:
    values = {"max_tokens": 9, "max_patches": 4, "max_supervised": 9}
    return DataConfig(data_dir="data", sources=sources, **(values | changes))


@pytest.mark.parametrize(
    ("sources", "task_weights", "message"),
    [
        ({}, {}, r"^sources has no dataset to draw from"),
        ({"a": source(weight=0)}, {}, r"^sources has no dataset to draw from"),
        ({"a": source()}, {"depth": 0}, r"^sources has no dataset to draw from"),
        ({"a/b": source()}, {}, r"^sources\.a/b is no label"),
        ({"a": source()}, {"dept": 1}, r"^task_weights\.dept is no task: name depth, corr"),
        ({"a": source()}, {"depth": -1}, r"^task_weights\.depth is -1, but must be 0 or more"),
        ({"a": source()}, {"depth": 1, "pose": 1}, r"^task_weights\.pose is of no use"),
        ({"a": source(), "b": source("pose")}, {"depth": 1}, r"^task_weights\.pose is missing"),
        ({"a": source(), "b": source(weight=1)}, {}, r"^sources\.a\.weight is None, .*sources\.b "),
    ],
)
def test_mixtures_that_cannot_be_drawn_are_refused(sources, task_weights, message):
    with pytest.raises(BadInput, match=message):
        config(sources, task_weights=task_weights)


def test_weights_of_one_task_need_not_be_like_anothers():
    config({"a": source(), "b": source("pose", weight=1)}, task_weights={"depth": 1, "pose": 1})


@pytest.mark.parametrize(
    "settings",
    [
        {"weight": -1.0},
        {"weight": float("nan")},
        {"repeats": 0.0},
        {"repeats": 2.0, "weight": 1.0},
        {"max_records": 0},
    ],
)
def test_settings_of_a_source_that_cannot_be_used_are_refused(settings):
    with pytest.raises(BadInput, match=f"^{next(iter(settings))} is "):
        source(**settings)


def test_a_missing_dataset_is_named_with_its_source(data_dir):
    for name, message in (("gone", "holds no built dataset"), ("toy_pairs", "no depth records")):
        sources = SOURCES | {"views": SourceConfig(name, "depth", weight=1.0)}
        with pytest.raises(BadInput, match=rf"^config\.data\.sources\.views: .*{message}"):
            open_sources(toy_mixture.config(data_dir, sources=sources))


def test_a_record_with_nothing_to_ask_about_is_passed_over(data_dir, encoder, monkeypatch):
    config = toy_mixture.config(data_dir, sources={"matches": SOURCES["matches"]})
    (pairs,) = mixture = open_sources(config)
    order = draw_order({"matches": len(pairs)}, {"matches": 1.0}, 5)
    samples = drawn_samples(mixture, config, encoder, 5)
    for i in range(14):
        record = order[i].record
        drawn = samples[i]
        expected = pairs[record].key
        if expected == f"pairs/made/{WITHOUT_MATCHES}":
            assert drawn.passed_over == (expected,)
            expected = pairs[(record + 1) % len(pairs)].key
        else:
            assert drawn.passed_over == ()
        assert drawn.sample.key == expected and drawn.label == "matches"

    said = []
    monkeypatch.setattr(logging, "warning", lambda text, *values: said.append(text % values))
    batches = train_iterator(config, encoder, batch_size=1, seed=5)
    list(itertools.islice(batches, 7 * 12))
    batches.close()
    # The first time, the tenth time.
    assert len(said) == 2 and "matches: a draw fell on pairs/made/3" in said[0]
    assert "; 1 such draws so far" in said[0] and "; 10 such draws so far" in said[1]


def test_a_source_with_nothing_to_ask_about_is_refused(data_dir, encoder, monkeypatch):
    monkeypatch.setattr(
        "vlm3_jax.data.sampling.CorrespondenceSampling.ask", lambda *args, **options: []
    )
    with pytest.raises(
        BadInput, match=r"config\.data\.sources\.matches: 7 records in a row, such as pairs/made/"
    ):
        next(train_iterator(toy_mixture.config(data_dir), encoder, batch_size=8, seed=0))
