import numpy as np
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
    assert tuple(mesh.shape) == ("replica", "fsdp", "tensor")


class SliceDevice(FakeDevice):
    """A device of one of two slices of four."""

    @property
    def slice_index(self) -> int:
        return self.id // 4


@pytest.mark.parametrize("sizes", [(2, -1, 1), (4, 2, 1), (1, 8, 1), (2, 2, 2), (1, 4, 2)])
def test_only_replica_crosses_slices_where_it_can_and_tensor_never(sizes):
    grid = make_mesh(*sizes, devices=[SliceDevice(number) for number in range(8)]).devices
    slices = np.vectorize(lambda device: device.slice_index)(grid)
    if sizes[0] > 1:
        assert (slices == slices[:, :1, :1]).all()
    assert (slices == slices[:, :, :1]).all()


def test_slices_that_cannot_be_told_apart():
    devices = [SliceDevice(number) for number in range(8)]
    with pytest.raises(BadInput, match="over 2 slices: make replica a multiple of 2"):
        make_mesh(1, 1, 8, devices=devices)


@pytest.mark.parametrize(
    "sizes", [(3, -1, 1), (1, 4, 1), (2, 8, 1), (0, -1, 1), (-1, -1, 1), (1, -2, 1)]
)
def test_sizes_that_do_not_fit(sizes):
    with pytest.raises(BadInput, match=r"config\.mesh \(replica .*, fsdp .*, tensor .*\)"):
        make_mesh(*sizes, devices=DEVICES)


def test_batch_sizes():
    mesh = make_mesh(2, 2, 2, devices=DEVICES)
    check_batch_size(mesh, 4)
    check_batch_size(mesh, 12)
    with pytest.raises(
        BadInput, match=r"batch_size is 10, .* by 4 \(replica 2 x fsdp 2\): use 8 or 12"
    ):
        check_batch_size(mesh, 10)
    with pytest.raises(BadInput, match=r"batch_size is 3, .* use 4,"):
        check_batch_size(mesh, 3)
    check_batch_size(mesh, 12, 3)
    with pytest.raises(BadInput, match=r"in 3 parts \(config.gradient_accumulation.*12 or 24"):
        check_batch_size(mesh, 16, 3)


def test_rows_that_processes_cannot_share():
    devices = [FakeDevice(number) for number in range(8)]
    for device in devices:
        device.process_index = device.id // 2
    mesh = make_mesh(1, 2, 4, devices=devices)
    with pytest.raises(
        BadInput, match=r"4 processes cannot share evenly: lower config\.mesh\.tensor"
    ):
        check_batch_size(mesh, 8)
