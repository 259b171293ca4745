import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.data import toy_mixture
from vlm3_jax.config import to_dict

REPOSITORY = Path(__file__).parents[2]


@pytest.mark.slow
def test_four_workers_stay_small_over_ten_thousand_samples(tiny_hf, tmp_path):
    command = [sys.executable, "-m", "tests.data.loader_memory"]
    config = toy_mixture.config(toy_mixture.build(tmp_path), num_workers=4)
    arguments = [json.dumps(to_dict(config)), str(tiny_hf), "10000"]
    done = subprocess.run(
        command + arguments,
        cwd=REPOSITORY,
        env=os.environ | {"JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=True,
    )
    samples, sizes = np.array(json.loads(done.stdout.splitlines()[-1]), float).T
    megabytes = sizes / 1e6
    print(f"\n{megabytes.min():.0f} to {megabytes.max():.0f} MB")
    assert samples[-1] == 10_000
    assert megabytes.max() < 1500
    # After warming up: a kept sample would show, for one is 60 kB of patches and text.
    warm = samples >= 2500
    slope, _ = np.polyfit(samples[warm], megabytes[warm], 1)
    print(f"{1000 * slope:.2f} kB a sample")
    assert slope * 10_000 < 50
