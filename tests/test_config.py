import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
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
    named: dict[str, Inner] = field(default_factory=dict)
    weights: dict[str, float] = field(default_factory=dict)


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
        ({"named": {"a": {"rate": -1.0}}}, r"config\.named\.a\.rate is -1\.0, but must not be"),
        ({"named": {"a": {}}}, r"config\.named\.a\.rate is missing: set it to a number"),
        ({"named": {"a": 3}}, r"config\.named\.a is 3, but must be a group of settings \(rate"),
        ({"weights": {"a": "b"}}, r"config\.weights\.a is 'b', but must be a number"),
        ({"weights": 3}, r"config\.weights is 3, but must be a group of which each is a number"),
        ({"inner__rate": -1.0}, r"config\.inner\.rate is -1\.0, but must not be negative"),
    ],
)
def test_bad_values_name_the_key(changes, message):
    with pytest.raises(BadInput, match=message):
        parse(Outer, config(**changes))


def test_dicts_have_keys_of_ones_own():
    named = {"one": {"rate": 1}, "two": {"rate": 2.5, "kind": "b"}}
    parsed = parse(Outer, config(named=named, weights={"x": 2}))
    assert parsed.named == {"one": Inner(1.0), "two": Inner(2.5, kind="b")}
    assert parsed.weights == {"x": 2.0} and type(parsed.weights["x"]) is float
    plain = to_dict(parsed)
    assert plain["named"]["two"] == {"rate": 2.5, "steps": 3, "kind": "b"}
    changed = to_dict(parse(Outer, config(named=named | {"one": {"rate": 3}}, weights={"x": 2})))
    assert differences(plain, changed) == ["config.named.one.rate (1.0 there, 3.0 here)"]


OVERRIDES = """
import sys
from absl import flags
from tests.test_config import Outer
from vlm3_jax.config import define_flag, parse
holder = define_flag(Outer)
flags.FLAGS(sys.argv)
print(parse(Outer, holder.value))
"""


def overridden(folder, *overrides: str) -> Outer:
    """What the file's settings become with overrides on a command line."""
    values = {"inner": {"rate": 0.5}, "name": "n", "named": {"one": {"rate": 1.0}}}
    (folder / "c.py").write_text(
        f"from ml_collections import ConfigDict\ndef get_config(): return ConfigDict({values})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", OVERRIDES, f"--config={folder / 'c.py'}", *overrides],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    return eval(done.stdout)  # The dataclasses' own text.


def test_overrides_reach_into_dicts(tmp_path):
    found = overridden(
        tmp_path,
        "--config.named.one.steps=7",
        "--config.named.one.rate=2",
        "--config.named.new.rate=0.25",
        "--config.weights.x=3",
    )
    assert found.named == {"one": Inner(2.0, steps=7), "new": Inner(0.25)}
    assert found.weights == {"x": 3.0} and found.inner == Inner(0.5)
    replaced = overridden(tmp_path, "--config.named={'other': {'rate': 4.0}}")
    assert replaced.named == {"other": Inner(4.0)}


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
