import numpy as np
import pytest

from tfds_builders.well_formed import read_json, read_npz, well_formed
from vlm3_jax.errors import BadInput


def test_json(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"a": [1]}')
    assert read_json(path) == {"a": [1]}
    for text in (b"{", b"\xff", b""):
        path.write_bytes(text)
        with pytest.raises(BadInput, match=r"a\.json is damaged or of another format"):
            read_json(path)
    with pytest.raises(BadInput, match=r"b\.json cannot be read \(No such file"):
        read_json(tmp_path / "b.json")


def test_npz(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, data=np.arange(3))
    assert read_npz(path, "data").tolist() == [0, 1, 2]
    with pytest.raises(BadInput, match=r"a\.npz is damaged or of another format \(KeyError"):
        read_npz(path, "other")
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(BadInput, match=r"a\.npz is damaged"):
        read_npz(path, "data")


def test_a_pickle_is_not_loaded(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, data=np.array([{"a": 1}], object))
    with pytest.raises(BadInput, match="allow_pickle"):
        read_npz(path, "data")


def test_own_errors_pass():
    with pytest.raises(BadInput, match=r"^scene 3 is empty\.$"), well_formed("a"):
        raise BadInput("scene 3 is empty.")
