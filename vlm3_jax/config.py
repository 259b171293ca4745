"""Strict configurations: an `ml_collections.ConfigDict` becomes a tree of frozen dataclasses.

Each dataclass lives beside the code it configures. Its fields are the only keys that exist, its
type hints the only types allowed, and its defaults fill what a configuration file leaves out.
"""

import dataclasses
import difflib
import re
import sys
import types
import typing
from pathlib import Path
from typing import Any, Literal, TypeVar

from absl import flags
from ml_collections import ConfigDict, config_flags

from vlm3_jax.errors import BadInput

T = TypeVar("T")


def define_flag(cls: type, name: str = "config") -> flags.FlagHolder[ConfigDict]:
    """Defines `--config=FILE.py` and its `--config.x.y=value` overrides, or those of another name.

    An override may name any setting of the dataclass `cls`, also one that the file leaves to its
    default. `parse` refuses what does not exist.
    """
    holder = config_flags.DEFINE_config_file(
        name,
        help_string="Configuration file with a get_config().",
        lock_config=False,
        accept_new_attributes=True,
    )
    flag = flags.FLAGS[holder.name]
    flag.parser = _FileParser(flag.parser, cls, name)
    return holder


class _FileParser(flags.ArgumentParser):
    """Reads a configuration file and adds the groups that it leaves out, for overrides to fill."""

    def __init__(self, parser: flags.ArgumentParser, cls: type, name: str):
        self._parser, self._cls, self._name = parser, cls, name

    def parse(self, argument: str) -> ConfigDict:
        file, _, _ = argument.partition(":")  # What follows is given to get_config.
        if not Path(file).is_file():
            raise ValueError(f"{file} does not exist: name a configuration file.")
        try:
            config = self._parser.parse(argument)
        except (TypeError, ValueError) as error:
            # ml_collections gives a whole traceback, whose last line says what is wrong.
            reason = str(error).strip().splitlines()[-1].removeprefix("ValueError: ")
            raise ValueError(reason) from error
        _add_groups(config, self._cls, self._name)
        return config


def _add_groups(config: ConfigDict, cls: type, path: str) -> None:
    for name, hint in typing.get_type_hints(cls).items():
        is_dict = typing.get_origin(hint) is dict
        if not (is_dict or dataclasses.is_dataclass(hint)):
            continue
        if name not in config:
            config[name] = ConfigDict()
        group = config[name]
        if not isinstance(group, ConfigDict):
            continue  # `parse` refuses it.
        if not is_dict:
            _add_groups(group, hint, f"{path}.{name}")
        elif dataclasses.is_dataclass(element := typing.get_args(hint)[1]):
            for label in {*group, *_overridden_labels(f"{path}.{name}")}:
                if label not in group:
                    group[label] = ConfigDict()
                if isinstance(group[label], ConfigDict):
                    _add_groups(group[label], element, f"{path}.{name}.{label}")


def _overridden_labels(path: str) -> list[str]:
    """The groups in the dict at `path` that overrides on the command line name."""
    pattern = re.compile(rf"--?{re.escape(path)}\.(\w+)\.")
    return [found[1] for argument in sys.argv if (found := pattern.match(argument))]


def parse(cls: type[T], config: ConfigDict, name: str = "config") -> T:
    """Turns a configuration into `cls`, a frozen dataclass, checking every key and every type.

    Nested dataclasses, `X | None`, `Literal`, `tuple[X, ...]`, `tuple[X, Y]` and `dict[str, X]` are
    understood; an int is accepted for a float and a list for a tuple, but a bool is no int.

    Raises:
        BadInput: a key is unknown or missing, a value has another type, or the dataclass itself
            refuses the values; the message names the dotted key, from `name` on.
    """
    return _parse_dataclass(cls, config.to_dict(), name)


def to_dict(config: Any) -> dict[str, Any]:
    """The configuration as plain JSON types; tuples become lists."""
    return _plain(dataclasses.asdict(config))


def differences(old: dict[str, Any], new: dict[str, Any], prefix: str = "config") -> list[str]:
    """Names the dotted keys, each with both values, in which two plain configurations differ."""
    found = []
    for key in sorted(old.keys() | new.keys()):
        path = f"{prefix}.{key}"
        one, two = old.get(key, "(absent)"), new.get(key, "(absent)")
        if isinstance(one, dict) and isinstance(two, dict):
            found += differences(one, two, path)
        elif one != two:
            found.append(f"{path} ({one!r} there, {two!r} here)")
    return found


def _parse_dataclass(cls: type[T], value: dict[str, Any], path: str) -> T:
    hints = typing.get_type_hints(cls)
    fields = {field.name: field for field in dataclasses.fields(cls)}
    for key in value:
        if key not in fields:
            raise BadInput(f"{path}.{key} is no setting: {_suggestion(key, list(fields))}.")
    missing = [name for name, field in fields.items() if name not in value and _is_required(field)]
    if missing:
        raise BadInput(f"{path}.{missing[0]} is missing: set it to {_describe(hints[missing[0]])}.")
    values = {key: _parse_value(hints[key], item, f"{path}.{key}") for key, item in value.items()}
    try:
        return cls(**values)
    except BadInput as error:
        raise BadInput(f"{path}.{error}") from error


def _parse_value(hint: Any, value: Any, path: str) -> Any:
    """Checks one value against its type hint and returns it in that type."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint) and isinstance(value, dict):
        return _parse_dataclass(hint, value, path)
    if origin in (typing.Union, types.UnionType) and type(None) in arguments:
        if value is None:
            return None
        (inner,) = (argument for argument in arguments if argument is not type(None))
        return _parse_value(inner, value, path)
    if origin is tuple and isinstance(value, list | tuple):
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            arguments = (arguments[0],) * len(value)
        if len(arguments) == len(value):
            pairs = enumerate(zip(arguments, value, strict=True))
            return tuple(_parse_value(kind, item, f"{path}[{i}]") for i, (kind, item) in pairs)
    if origin is dict and isinstance(value, dict):
        return {
            key: _parse_value(arguments[1], item, f"{path}.{key}") for key, item in value.items()
        }
    if origin is Literal and value in arguments:
        return value
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is hint:
        return value
    raise BadInput(f"{path} is {_shown(value)}, but must be {_describe(hint)}.")


def _is_required(field: dataclasses.Field) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _suggestion(key: str, names: list[str]) -> str:
    close = difflib.get_close_matches(key, names, n=3)
    return f"did you mean {' or '.join(close)}" if close else f"the settings are {', '.join(names)}"


def _shown(value: Any) -> str:
    return "a group of settings" if isinstance(value, dict) else f"{value!r}"


def _describe(hint: Any) -> str:
    """The type hint in words."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint):
        names = ", ".join(field.name for field in dataclasses.fields(hint))
        return f"a group of settings ({names})"
    if origin in (typing.Union, types.UnionType):
        return " or ".join("None" if kind is type(None) else _describe(kind) for kind in arguments)
    if origin is Literal:
        return "one of " + ", ".join(repr(choice) for choice in arguments)
    if origin is tuple and arguments[-1] is Ellipsis:
        return f"a tuple whose elements are each {_describe(arguments[0])}"
    if origin is tuple:
        return f"a tuple of {', '.join(_describe(kind) for kind in arguments)}"
    if origin is dict:
        return f"a group of which each is {_describe(arguments[1])}"
    return {int: "an integer", float: "a number", str: "a string", bool: "True or False"}[hint]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value
