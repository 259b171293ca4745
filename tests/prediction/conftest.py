from pathlib import Path

import pytest

from tests.decoding.conftest import lively_hf, reference
from tests.prediction.speaking import write_speaking_hf

__all__ = ["lively_hf", "reference"]


@pytest.fixture(scope="session")
def speaking_hf(tmp_path_factory) -> Path:
    """A tiny model that says 2.5 metres of every point, in three tokens and a stop token."""
    folder = tmp_path_factory.mktemp("speaking") / "near"
    return write_speaking_hf(folder, ["<answer>", " 2.5", " </answer>"])


@pytest.fixture(scope="session")
def far_hf(tmp_path_factory) -> Path:
    """A tiny model that says 70 metres."""
    folder = tmp_path_factory.mktemp("speaking") / "far"
    return write_speaking_hf(folder, ["<answer>", " 70", " </answer>"])
