"""The benchmarks of `configs/eval.py`."""

import importlib
from typing import get_args

import pytest

from configs import eval as evaluation
from configs import quickstart_eval
from tfds_builders.build import names
from vlm3_jax.config import parse
from vlm3_jax.data.sampling import Task
from vlm3_jax.evaluation.config import EvalConfig

PAPER = (
    *("argoverse2", "ddad", "nuscenes", "eth3d", "scannetpp", "sun_rgbd", "ibims1", "nyu_v2"),
    *("eth3d_correspondence", "dtu_correspondence", "ta_wb_correspondence"),
    *("eth3d_pose", "scannetpp_pose", "spatial_rgpt"),
)


def test_every_benchmark_of_the_paper_and_rooms_for_every_task():
    config = parse(EvalConfig, evaluation.get_config())
    assert set(PAPER) <= set(config.benchmarks)
    rooms = [b for name, b in config.benchmarks.items() if name.startswith("rooms_")]
    assert {b.task for b in rooms} == set(get_args(Task))
    for benchmark in config.benchmarks.values():
        assert benchmark.seed == 0 and benchmark.images in (500, None)


@pytest.mark.parametrize("name", evaluation.BENCHMARKS)
def test_every_set_can_be_built(name):
    dataset, _, config = evaluation.BENCHMARKS[name]["dataset"].partition("/")
    assert dataset in names()
    builder = importlib.import_module(f"tfds_builders.{dataset}.{dataset}_dataset_builder").Builder
    # A set with configs must be named with one, and no other.
    assert config in builder.builder_configs or not (config or builder.builder_configs)


def test_some_by_name():
    config = parse(EvalConfig, evaluation.get_config("ibims1,eth3d_pose"))
    assert set(config.benchmarks) == {"ibims1", "eth3d_pose"}
    assert config.benchmarks["eth3d_pose"].asks.focal == 750


def test_a_name_that_is_unknown_is_an_error_that_lists_the_names():
    with pytest.raises(ValueError, match=r"no benchmark 'eth4d', '' in .*ibims1, nyu_v2"):
        evaluation.get_config("eth4d,ibims1,")


def test_the_quickstart_has_one():
    (rooms,) = parse(EvalConfig, quickstart_eval.get_config()).benchmarks.values()
    assert rooms.asks.focal == 100 and rooms.images is None
