import jax
import pytest

from vlm3_jax.errors import BadInput
from vlm3_jax.parallel.mesh import check_batch_size, make_mesh


class FakeDevice:
    """As much of a CPU device as a mesh looks at."""

    platform, device_kind, process_index = "cpu", "cpu", 0

    def __init__(self, number: int):
        self.id = number


DEVICES = [FakeDevice(number) for number in range(8)]


@pytest.mark.parametrize(
    ("sizes", "shape"),
    [
        ((1, -1, 1), (1, 8, 1)),
        ((-1, 2, 2), (2, 2, 2)),
        ((1, 4, 2), (1, 4, 2)),
        ((2, 4, -1), (2, 4, 1)),
    ],
)
def test_shape(sizes, shape):
    mesh = make_mesh(*sizes, devices=DEVICES)
    assert tuple(mesh.shape.values()) == shape
    assert tuple(mesh.shape) == ("data", "fsdp", "tensor")


@pytest.mark.parametrize(
    "sizes", [(3, -1, 1), (1, 4, 1), (2, 8, 1), (0, -1, 1), (-1, -1, 1), (1, -2, 1)]
)
def test_sizes_that_do_not_fit(sizes):
    with pytest.raises(BadInput, match=r"config\.mesh \(data .*, fsdp .*, tensor .*\)"):
        make_mesh(*sizes, devices=DEVICES)


def test_batch_sizes():
    mesh = make_mesh(2, 2, 2, devices=DEVICES)
    check_batch_size(mesh, 4)
    check_batch_size(mesh, 12)
    with pytest.raises(
        BadInput, match=r"batch_size is 10, .* by 4 \(data 2 x fsdp 2\): use 8 or 12"
    ):
        check_batch_size(mesh, 10)
    with pytest.raises(BadInput, match=r"batch_size is 3, .* use 4,"):
        check_batch_size(mesh, 3)
    check_batch_size(mesh, 12, 3)
    with pytest.raises(BadInput, match=r"in 3 parts \(config.gradient_accumulation.*12 or 24"):
        check_batch_size(mesh, 16, 3)


def test_rows_that_processes_cannot_share(monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 4)
    mesh = make_mesh(1, 2, 4, devices=DEVICES)
    with pytest.raises(
        BadInput, match=r"4 processes cannot share evenly: lower config\.mesh\.tensor"
    ):
        check_batch_size(mesh, 8)
