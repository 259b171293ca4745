from dataclasses import dataclass, field
from typing import Literal

import pytest
from ml_collections import ConfigDict

from vlm3_jax.config import differences, parse, to_dict
from vlm3_jax.errors import BadInput


@dataclass(frozen=True)
class Inner:
    rate: float
    steps: int = 3
    kind: Literal["a", "b"] = "a"

    def __post_init__(self):
        if self.rate < 0:
            raise BadInput(f"rate is {self.rate}, but must not be negative.")


@dataclass(frozen=True)
class Outer:
    inner: Inner
    name: str
    flag: bool = False
    limit: int | None = None
    sizes: tuple[int, ...] = ()
    pair: tuple[str, float] = ("x", 1.0)
    parts: tuple[Inner, ...] = field(default_factory=tuple)


def config(**changes) -> ConfigDict:
    values = {"inner": {"rate": 0.5}, "name": "n"}
    for key, value in changes.items():
        group, _, leaf = key.rpartition("__")
        (values[group] if group else values)[leaf] = value
    return ConfigDict(values)


def test_values_and_defaults():
    parsed = parse(
        Outer,
        config(inner__rate=2, limit=7, sizes=[1, 2], pair=("y", 3), parts=({"rate": 1.5},)),
    )
    assert parsed == Outer(
        inner=Inner(rate=2.0),
        name="n",
        limit=7,
        sizes=(1, 2),
        pair=("y", 3.0),
        parts=(Inner(rate=1.5),),
    )
    assert type(parsed.inner.rate) is float and type(parsed.pair[1]) is float
    assert parse(Outer, config(limit=None)).limit is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inner__rte": 1.0}, r"config\.inner\.rte is no setting: did you mean rate"),
        ({"zzz": 1}, r"config\.zzz is no setting: the settings are inner, name, flag"),
        ({"inner__rate": "fast"}, r"config\.inner\.rate is 'fast', but must be a number"),
        ({"inner__rate": True}, r"config\.inner\.rate is True, but must be a number"),
        ({"inner__steps": True}, r"config\.inner\.steps is True, but must be an integer"),
        ({"inner__steps": 2.0}, r"config\.inner\.steps is 2\.0, but must be an integer"),
        ({"inner__kind": "c"}, r"config\.inner\.kind is 'c', but must be one of 'a', 'b'"),
        ({"inner": 3}, r"config\.inner is 3, but must be a group of settings \(rate, steps, kind"),
        ({"name": None}, r"config\.name is None, but must be a string"),
        ({"name": {"a": 1}}, r"config\.name is a group of settings, but must be a string"),
        ({"flag": 1}, r"config\.flag is 1, but must be True or False"),
        ({"limit": "7"}, r"config\.limit is '7', but must be an integer\b"),
        ({"sizes": (1, "2")}, r"config\.sizes\[1\] is '2', but must be an integer"),
        (
            {"sizes": 3},
            r"config\.sizes is 3, but must be a tuple whose elements are each an integer",
        ),
        ({"pair": ("x",)}, r"config\.pair is \('x',\), but must be a tuple of a string, a number"),
        ({"inner__rate": -1.0}, r"config\.inner\.rate is -1\.0, but must not be negative"),
    ],
)
def test_bad_values_name_the_key(changes, message):
    with pytest.raises(BadInput, match=message):
        parse(Outer, config(**changes))


def test_missing_key():
    incomplete = config()
    del incomplete.inner["rate"]
    with pytest.raises(BadInput, match=r"config\.inner\.rate is missing: set it to a number"):
        parse(Outer, incomplete)


def test_differences_name_the_keys():
    old = to_dict(parse(Outer, config(sizes=(1,))))
    new = to_dict(parse(Outer, config(inner__rate=0.25, sizes=(1, 2))))
    assert old["sizes"] == [1]
    assert differences(old, old) == []
    assert differences(old, new) == [
        "config.inner.rate (0.5 there, 0.25 here)",
        "config.sizes ([1] there, [1, 2] here)",
    ]
    del old["flag"]
    assert differences(old, to_dict(parse(Outer, config(sizes=(1,))))) == [
        "config.flag ('(absent)' there, False here)"
    ]
