import atexit
import os
import shutil
import tempfile

# Set before jax is imported anywhere: tests run on the CPU, quietly.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
# Programs that several tests and the processes they start have in common are compiled once a run.
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    os.environ["JAX_COMPILATION_CACHE_DIR"] = tempfile.mkdtemp(prefix="compiled-")
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.5"
    atexit.register(shutil.rmtree, os.environ["JAX_COMPILATION_CACHE_DIR"], ignore_errors=True)

from pathlib import Path

import numpy as np
import pytest

REPOSITORY = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def tiny_hf(tmp_path_factory) -> Path:
    """A tiny Qwen3-VL with random torch weights, saved by transformers; the head is tied."""
    from tests.tiny import write_tiny_hf  # It needs torch, which few tests do.

    return write_tiny_hf(tmp_path_factory.mktemp("hf") / "tiny", tie=True)


@pytest.fixture(scope="session")
def tiny_hf_untied(tmp_path_factory) -> Path:
    """As `tiny_hf`, with a head of its own."""
    from tests.tiny import write_tiny_hf

    return write_tiny_hf(tmp_path_factory.mktemp("hf") / "tiny_untied", tie=False)


@pytest.fixture(scope="session")
def ibims1() -> Path:
    """60 real images of iBims-1 in the DepthLM format, where they lie beside the checkout."""
    folder = REPOSITORY.parent / "shared" / "data" / "ibims1"
    if not (folder / "ibims1.jsonl").exists():
        pytest.skip("the iBims-1 images are not beside the checkout")
    return folder


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)
