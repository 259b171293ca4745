import jax
import numpy as np
import pytest
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from tests.training.synthetic import CONFIG
from vlm3_jax.models.functional import abstract_params
from vlm3_jax.parallel.sharding import batch_sharding, param_shardings, shard_rows


def mesh(*sizes: int) -> Mesh:
    """A mesh of stand-ins: only its shape is looked at."""
    return jax.sharding.AbstractMesh(sizes, ("replica", "fsdp", "tensor"))


def specs(sizes, params):
    shardings = param_shardings(params, mesh(*sizes))
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): leaf.spec
        for path, leaf in jax.tree.leaves_with_path(shardings)
    }


def test_every_parameter_of_the_model_has_a_rule():
    found = specs((2, 4, 2), abstract_params(CONFIG))
    assert found["text/embed/embedding"] == P("tensor", "fsdp")
    assert found["text/layers/attn/q_proj/kernel"] == P(None, "fsdp", "tensor")
    assert found["text/layers/mlp/down_proj/kernel"] == P(None, "tensor", "fsdp")
    assert found["vision/blocks/attn/qkv/kernel"] == P(None, ("fsdp", "tensor"), None)
    matrices = {name for name in found if name.endswith(("kernel", "embedding"))}
    assert all("fsdp" in str(found[name]) for name in matrices)
    assert all(set(found[name]) <= {None} for name in found.keys() - matrices)


def test_a_size_that_does_not_divide_stays_whole():
    params = {"lm_head": {"kernel": jax.ShapeDtypeStruct((6, 8), np.float32)}}
    assert specs((1, 4, 2), params) == {"lm_head/kernel": P(None, "tensor")}
    assert specs((1, 2, 3), params) == {"lm_head/kernel": P("fsdp", None)}


def test_unknown_parameter():
    with pytest.raises(ValueError, match="no sharding rule matches parameter 'a/rank'"):
        specs((1, 1, 1), {"a": {"rank": jax.ShapeDtypeStruct((2,), np.float32)}})


def test_rows():
    assert batch_sharding(mesh(2, 4, 1)).spec == P(("replica", "fsdp"))
    x = np.ones((2, 3))
    assert shard_rows(x) is x  # No mesh is set.
