from pathlib import Path

import pytest

from tests.decoding.reference import Reference, write_lively_hf


@pytest.fixture(scope="session")
def lively_hf(tiny_hf_untied, tmp_path_factory) -> Path:
    """A tiny model whose greedy answers vary with the prompt and do not settle on one token."""
    return write_lively_hf(tiny_hf_untied, tmp_path_factory.mktemp("hf") / "lively")


@pytest.fixture(scope="session")
def reference(lively_hf) -> Reference:
    return Reference(lively_hf)
