from pathlib import Path

import pytest

from tests.data import toy
from vlm3_jax.data.encoder import Encoder


@pytest.fixture(scope="session")
def toy_data(tmp_path_factory) -> Path:
    """Folder with the built dataset `toy.NAME`."""
    return toy.build(tmp_path_factory.mktemp("built"))


@pytest.fixture(scope="session")
def encoder(tiny_hf) -> Encoder:
    return Encoder.from_folder(tiny_hf)
