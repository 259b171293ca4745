import pytest

from configs.depth import SAMPLES_PER_ROW, get_config
from tests.training.runs import run_config
from vlm3_jax.config import parse
from vlm3_jax.errors import BadInput
from vlm3_jax.training.config import TrainConfig
from vlm3_jax.training.optimizer import make_schedule


def test_depth_has_the_papers_hyper_parameters():
    config = parse(TrainConfig, get_config())
    assert config.model.checkpoint == "Qwen/Qwen3-VL-4B-Instruct"
    assert get_config("8B").model.checkpoint == "Qwen/Qwen3-VL-8B-Instruct"
    rows = config.total_steps * config.batch_size
    assert rows * SAMPLES_PER_ROW == pytest.approx(32e6, rel=1e-3)
    schedule = make_schedule(config.optimizer, config.batch_size, config.total_steps)
    warmup = round(0.1 * config.total_steps)
    assert float(schedule(warmup)) == pytest.approx(5.5e-5)
    assert float(schedule(warmup // 2)) == pytest.approx(5.5e-5 / 2, rel=1e-3)
    assert config.optimizer.clip_norm == 0.02
    assert config.model.compute_dtype == "bfloat16"
    assert config.data.sampling.focal == 1000
    assert config.data.sampling.questions_per_image == 10


@pytest.mark.parametrize(
    "name", ["total_steps", "batch_size", "gradient_accumulation", "log_every"]
)
def test_counts_are_positive(tmp_path, name):
    with pytest.raises(BadInput, match=rf"config\.{name} is 0, but must be at least 1"):
        run_config(tmp_path, **{name: 0})
