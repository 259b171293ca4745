import importlib.util
import math

import pytest

from vlm3_jax.aot.topologies import FAMILIES, Topology
from vlm3_jax.errors import BadInput

NAMES = [f"{name}:{shape}" for name, family in FAMILIES.items() for shape in family.shapes]


@pytest.mark.parametrize(
    "name", ["v5e:3x3", "v5e", "v7:2x2", "h100:12", "v5p:4x4x2", "", "v5e:2x2x1"]
)
def test_unknown_ones_are_refused(name):
    with pytest.raises(BadInput, match=r"does not exist: give one of v4:\{2x2x1,.*h100:\{8,16"):
        Topology(name)


def test_slices():
    assert Topology("v6e:16x16", 2).slices == 2
    for name, slices in (("v6e:16x16", 0), ("h100:16", 2)):
        with pytest.raises(BadInput, match=f"slices is {slices}"):
            Topology(name, slices)


@pytest.mark.parametrize(("name", "remedy"), [("v5e:2x2", "tpu"), ("h100:8", "cuda12")])
def test_a_missing_compiler_is_named(name, remedy, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BadInput, match=rf'pip install "jax\[{remedy}\]"'):
        Topology(name).devices()


@pytest.mark.skipif(
    importlib.util.find_spec("libtpu") is None, reason='needs libtpu: pip install "jax[tpu]"'
)
@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("h100")])
def test_devices_of_tpus(name):
    topology = Topology(name)
    devices = topology.devices()
    chips = math.prod(topology.shape)
    assert len(devices) == chips  # Also where a chip has two cores.
    assert len({device.process_index for device in devices}) == -(-chips // 4)
    assert {device.platform for device in devices} == {"tpu"}
    if chips == 16:
        assert len(Topology(name, slices=3).devices()) == 48


@pytest.mark.skipif(
    importlib.util.find_spec("jax_cuda12_plugin") is None,
    reason='needs the CUDA plugin: pip install "jax[cuda12]"',
)
def test_devices_of_gpus():
    devices = Topology("h100:32").devices()
    assert len(devices) == 32
    assert len({device.process_index for device in devices}) == 4
