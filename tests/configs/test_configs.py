"""Every file of configs/, and the arithmetic of the paper's trainings."""

import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from ml_collections import ConfigDict

from configs import mixtures
from tfds_builders.build import names
from vlm3_jax.config import parse
from vlm3_jax.data.mixture import shares
from vlm3_jax.evaluation.config import EvalConfig
from vlm3_jax.training.config import TrainConfig
from vlm3_jax.training.optimizer import make_schedule

FOLDER = Path(__file__).parents[2] / "configs"
FILES = sorted(path.stem for path in FOLDER.glob("*.py") if "def get_config(" in path.read_text())
# Learning rate, samples an update, samples (method.md, section 5).
PAPER = {
    "depth": (5.5e-5, 1344, 32e6),
    "objects": (3.5e-4, 640, 1e6),
    "correspondence": (2e-5, 2816, 80e6),
    "pose": (5e-5, 448, 10e6),
}


def config_of(name: str, *argument: str) -> TrainConfig | EvalConfig:
    values = importlib.import_module(f"configs.{name}").get_config(*argument)
    return parse(TrainConfig if "optimizer" in values else EvalConfig, values)


def values_of(group: ConfigDict) -> Iterator:
    # A placeholder, which has a type, comes as a reference: a flag can put a value in its place.
    for _, value in group.items(preserve_field_references=True):
        yield from values_of(value) if isinstance(value, ConfigDict) else (value,)


@pytest.mark.parametrize("name", FILES)
def test_every_file_parses(name):
    values = importlib.import_module(f"configs.{name}").get_config()
    # The command line could not override it.
    assert not any(value is None for value in values_of(values))
    config = config_of(name)
    if isinstance(config, TrainConfig):
        data = config.data
        assert (data.max_sample_tokens or 0) <= data.max_tokens
        assert (data.max_image_patches or 0) <= data.max_patches
        assert data.max_tokens % 32 == data.max_patches % 4 == 0
        assert data.active_sources == dict(sorted(data.sources.items()))


@pytest.mark.parametrize("name", PAPER)
def test_tasks_have_the_papers_hyper_parameters(name):
    learning_rate, batch_size, num_samples = PAPER[name]
    config = config_of(name)
    assert config.model.checkpoint == "Qwen/Qwen3-VL-4B-Instruct"
    assert config_of(name, "8B").model.checkpoint == "Qwen/Qwen3-VL-8B-Instruct"
    assert config.batch_size * 4 == batch_size
    assert config.total_steps * batch_size == pytest.approx(num_samples, rel=1e-3)
    assert config.optimizer.clip_norm == 0.02
    assert config.model.compute_dtype == "bfloat16"
    warmup = round(0.1 * config.total_steps)
    schedule = make_schedule(config.optimizer, config.batch_size, config.total_steps)
    assert float(schedule(warmup)) == pytest.approx(learning_rate, rel=1e-3)
    assert float(schedule(warmup // 2)) == pytest.approx(learning_rate / 2, rel=0.01)
    # A quarter of the batch has half the rate.
    smaller = make_schedule(config.optimizer, config.batch_size // 4, config.total_steps)
    assert float(smaller(warmup)) == pytest.approx(learning_rate / 2, rel=1e-3)
    assert {source.task for source in config.data.sources.values()} == {name}


def test_tasks_are_asked_as_in_the_paper():
    samplings = config_of("unified").data.samplings
    assert samplings.depth == config_of("depth").data.samplings.depth
    assert (samplings.depth.focal, samplings.depth.questions_per_image) == (1000, 10)
    assert samplings.correspondence == config_of("correspondence").data.samplings.correspondence
    assert samplings.correspondence.longer_side == 1024
    assert samplings.correspondence.questions_per_pair == 10
    assert samplings.pose == config_of("pose").data.samplings.pose
    assert (samplings.pose.focal, samplings.pose.questions_per_pair) == (750, None)
    assert samplings.objects.focal == 1000


def test_depth_has_the_papers_weights():
    data = config_of("depth").data
    found = shares(data.active_sources, data.task_weights, {})
    # 0.21 + 0.04 + 0.01 + 0.01 + 0.51 + 0.78 + 0.006, without the street views.
    assert found["hm3d"] == pytest.approx(0.78 / 1.566)
    assert found["argoverse2"] / found["waymo"] == pytest.approx(21 / 4)
    uniform = config_of("depth", "4B,uniform").data
    assert list(shares(uniform.sources, {}, {}).values()) == pytest.approx([1 / 7] * 7)
    by_size = config_of("depth", "4B,size,corrected").data
    assert {source.weight for source in by_size.sources.values()} == {None}
    assert by_size.sources["waymo"].name == "waymo/corrected"


def test_unified_weighs_tasks_and_datasets_apart():
    data = config_of("unified").data
    found = shares(data.sources, data.task_weights, {})
    assert found["depth_hm3d"] == pytest.approx(0.4 * 0.78 / 1.566)
    assert found["objects_open_spatial"] == pytest.approx(0.1)
    assert found["pose_dl3dv"] / found["correspondence_dl3dv"] == pytest.approx(2 / 3)


@pytest.mark.parametrize("task", ["depth", "correspondence", "pose", "objects"])
@pytest.mark.parametrize("labels", ["release_faithful", "corrected"])
def test_every_dataset_of_the_mixtures_can_be_built(task, labels):
    options = {"labels": labels} if task == "depth" else {}
    for source in getattr(mixtures, task)("size", **options).values():
        name, _, of_name = source["name"].partition("/")
        assert name in names()
        module = importlib.import_module(f"tfds_builders.{name}.{name}_dataset_builder")
        known = [config.name for config in module.Builder.BUILDER_CONFIGS]
        assert of_name in known if known else not of_name


def test_arguments_that_mean_nothing():
    with pytest.raises(ValueError, match="'sizes' is no weighting: name paper, size, uniform"):
        config_of("depth", "4B,sizes")
    with pytest.raises(ValueError, match="has 4 parts"):
        config_of("depth", "4B,paper,corrected,more")
