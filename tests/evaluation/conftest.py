from tests.decoding.conftest import lively_hf

__all__ = ["lively_hf"]
