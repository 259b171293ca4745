import pytest

from tests.training.runs import run_config
from vlm3_jax.errors import BadInput


@pytest.mark.parametrize(
    "name", ["total_steps", "batch_size", "gradient_accumulation", "log_every"]
)
def test_counts_are_positive(tmp_path, name):
    with pytest.raises(BadInput, match=rf"config\.{name} is 0, but must be at least 1"):
        run_config(tmp_path, **{name: 0})
