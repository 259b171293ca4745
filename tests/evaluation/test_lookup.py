from dataclasses import replace

import numpy as np
import pytest

from tests.data.toy import NAME, build, example
from vlm3_jax import config as configs
from vlm3_jax.errors import BadInput
from vlm3_jax.evaluation.benchmark import open_sources
from vlm3_jax.evaluation.config import Benchmark, EvalConfig
from vlm3_jax.evaluation.lookup import Lookup


@pytest.fixture
def config(tmp_path) -> EvalConfig:
    build(tmp_path)
    return EvalConfig({"b": Benchmark("depth", NAME)}, data_dir=str(tmp_path))


def line(config, index: int, shown: int) -> dict:
    source = open_sources(config)["b"]
    keys = {"image": source[index].key, "shown_image": source[shown].key}
    return {"benchmark": "b", "index": index, "shown_index": shown} | keys


def test_records_and_images_of_lines_are_found(config):
    lookup = Lookup.of_results({"config": configs.to_dict(config)})
    for index, shown in ((1, 1), (0, 2)):
        asked = line(config, index, shown)
        assert lookup.record(asked).key == asked["image"]
        (image,) = lookup.images(asked)
        number = int(asked["shown_image"].rpartition("/")[2])
        width, height = example(number)["intrinsics"][4:]
        assert image.shape == (height, width, 3) and image.dtype == np.uint8


def test_a_set_that_was_built_anew_is_noticed(config):
    lookup = Lookup.of_results({"config": configs.to_dict(config)})
    for wrong in ({"image": "toy/scene9/9"}, {"index": 99}):
        with pytest.raises(BadInput, match=r"b: record .* is no longer toy/"):
            lookup.record(line(config, 0, 0) | wrong)
    with pytest.raises(BadInput, match="holds no built dataset"):
        Lookup.of_results({"config": configs.to_dict(replace(config, data_dir="/none"))})
