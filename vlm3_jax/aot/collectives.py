"""How many bytes devices exchange in a compiled program, read from its HLO text.

Loops count as often as they run. What XLA writes differs by platform: collectives may be split into
a start and a done, packed several into one, or spread over the fusions that they overlap with.
"""

import math
import re
from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

KINDS = ("all-gather", "reduce-scatter", "all-reduce", "collective-permute", "all-to-all")

_COMPUTATION = re.compile(r"(?:ENTRY )?%?([\w.-]+) \(.*\{$")
_INSTRUCTION = re.compile(r"\s+(?:ROOT )?%?([\w.-]+) = (\(.*?\)|\S+) ([a-z][\w-]*)\((.*)$")
_CALLED = re.compile(r"(?:calls|to_apply|body)=%?([\w.-]+)")
_ARRAY = re.compile(r"(pred|[a-z]+(\d+)\w*)\[([\d,]*)\]")


@dataclass(frozen=True)
class Traffic:
    """What one device sends in one run of a program."""

    bytes: dict[str, float]
    """Of every kind in `KINDS`, with the best algorithm for a ring: of n devices that share an
    array of some size, each sends (n - 1) / n of it, and twice that in an all-reduce."""
    unknown_loops: tuple[str, ...]
    """Loops with collectives whose length the text does not tell; they count once."""


class _Line(NamedTuple):
    """An instruction."""

    shape: str
    opcode: str
    rest: str
    """Operands and attributes."""


_Lines = dict[str, _Line]
"""The instructions of a computation by name, the result last."""


def traffic(hlo: str) -> Traffic:
    """Counts the collectives in the text of a compiled program (`Compiled.as_text()`)."""
    return _Reader(hlo).read()


class _Reader:
    def __init__(self, hlo: str):
        self.computations: dict[str, _Lines] = {}
        found = re.search(r"num_partitions=(\d+)", hlo)
        self.num_devices = int(found[1]) if found else 1
        self.unknown: list[str] = []
        self.chains: set[str] = set()
        current = None
        for line in hlo.splitlines():
            if start := _COMPUTATION.match(line):
                current = self.computations.setdefault(start[1], {})
                if line.startswith("ENTRY"):
                    self.entry = start[1]
            elif current is not None and (instruction := _INSTRUCTION.match(line)):
                name, *rest = instruction.groups()
                current[name] = _Line(*rest)

    def read(self) -> Traffic:
        total = self._total(self.entry)
        return Traffic({kind: total[kind] for kind in KINDS}, tuple(self.unknown))

    def _total(self, name: str) -> Counter:
        """Bytes of a computation and of all that it calls."""
        total: Counter = Counter()
        lines = self.computations[name]
        for loop, (shape, opcode, rest) in lines.items():
            kind = opcode.removesuffix("-start")
            if kind in KINDS:
                if self._is_first_of_chain(rest):
                    total[kind] += self._sent(kind, opcode != kind, shape, rest)
            elif opcode == "while":
                inner = self._total(_CALLED.search(rest)[1])
                count = self._trip_count(lines, rest)
                if count is None and inner:
                    self.unknown.append(loop)
                total.update(_times(inner, count or 1))
            elif opcode == "conditional":
                branches = [self._total(branch) for branch in _branches(rest)]
                total.update(max(branches, key=Counter.total))
            elif not opcode.endswith(("-done", "-update")) and (called := _CALLED.search(rest)):
                inner = self._total(called[1])
                if called[1].startswith("all-reduce-scatter"):
                    # The TPU's reduce-scatter: a fusion of an all-reduce and of taking a slice.
                    inner = Counter({"reduce-scatter": inner["all-reduce"] / 2})
                total.update(inner)
        return total

    def _is_first_of_chain(self, rest: str) -> bool:
        """Whether this is no repetition of a collective that spreads over several fusions."""
        chain = re.search(r'chain_id="(\w+)"', rest)
        if chain is None:
            return True
        known = chain[1] in self.chains
        self.chains.add(chain[1])
        return not known

    def _sent(self, kind: str, is_start: bool, shape: str, rest: str) -> float:
        if is_start and kind != "all-reduce":
            shape = _elements(shape)[1]  # After the operands.
        size = _nbytes(shape)
        if kind == "collective-permute":
            return size
        group = self._group_size(rest)
        if kind == "reduce-scatter":
            size *= group  # The result is one device's part.
        return size * (group - 1) / group * (2 if kind == "all-reduce" else 1)

    def _group_size(self, rest: str) -> int:
        groups = re.search(
            r"replica_groups=(mesh\[[^\]]*\][^{]*\{[^}]*\}|\[[\d,]+\]|\{[^}]*\}?)", rest
        )
        text = groups[1] if groups else "{}"
        if text.startswith("mesh"):
            axes = {name: int(size) for name, size in re.findall(r"'(\w+)'=(\d+)", text)}
            used = re.findall(r"'(\w+)'(?::\(\d+\)(\d+))?(?=[,}])", text[text.index("]") :])
            return math.prod(int(part) if part else axes[name] for name, part in used)
        if text.startswith("["):
            return int(text.strip("[]").split(",")[1])
        ids = text.strip("{}")
        return len(ids.split(",")) if ids else self.num_devices

    def _trip_count(self, outside: _Lines, rest: str) -> int | None:
        """Of a loop that counts up to a constant."""
        if known := re.search(r'"known_trip_count":\{"n":"(\d+)"\}', rest):
            return int(known[1])
        condition = self.computations[re.search(r"condition=%?([\w.-]+)", rest)[1]]
        body = self.computations[re.search(r"body=%?([\w.-]+)", rest)[1]]
        compares = [line.rest for line in condition.values() if line.opcode == "compare"]
        if len(compares) != 1 or "direction=LT" not in compares[0]:
            return None
        counter, limit = _operands(compares[0])[:2]
        place = _tuple_index(condition, counter)
        if place is None:
            return None
        start = _constant(outside, _tuple_element(outside, _operands(rest)[0], place))
        step = _increment(body, _tuple_element(body, next(reversed(body)), place), place)
        end = _constant(condition, limit)
        if start is None or end is None or not step:
            return None
        return -(-(end - start) // step)


def _operands(rest: str) -> list[str]:
    return re.findall(r"%([\w.-]+)", rest.partition(")")[0])


def _tuple_index(lines: _Lines, name: str) -> int | None:
    """Place of a computation's value in the tuple that it is an element of."""
    found = re.search(r"index=(\d+)", lines[name].rest)
    return int(found[1]) if lines[name].opcode == "get-tuple-element" and found else None


def _tuple_element(lines: _Lines, name: str, place: int) -> str | None:
    line = lines.get(name)
    return _operands(line.rest)[place] if line and line.opcode == "tuple" else None


def _origin(lines: _Lines, name: str | None) -> tuple[str | None, _Line | None]:
    """What a value is a copy of."""
    while name in lines and lines[name].opcode in ("copy", "bitcast"):
        name = _operands(lines[name].rest)[0]
    return name, lines.get(name)


def _constant(lines: _Lines, name: str | None) -> int | None:
    _, line = _origin(lines, name)
    value = re.match(r"(-?\d+)\)", line.rest) if line and line.opcode == "constant" else None
    return int(value[1]) if value else None


def _increment(lines: _Lines, name: str | None, place: int) -> int | None:
    """By how much a value in a loop's body is larger than the element that it is next time."""
    name, line = _origin(lines, name)
    if line is None:
        return None
    if line.opcode == "get-tuple-element":
        return 0 if _tuple_index(lines, name) == place else None
    if line.opcode != "add":
        return None
    one, other = _operands(line.rest)
    if _constant(lines, one) is not None:
        one, other = other, one
    before, added = _increment(lines, one, place), _constant(lines, other)
    return None if before is None or added is None else before + added


def _branches(rest: str) -> list[str]:
    listed = re.search(r"branch_computations=\{([^}]*)\}", rest)
    if listed:
        return re.findall(r"[\w.-]+", listed[1])
    return re.findall(r"(?:true|false)_computation=%?([\w.-]+)", rest)


def _times(total: Counter, count: int) -> Counter:
    return Counter({kind: size * count for kind, size in total.items()})


def _elements(shape: str) -> list[str]:
    """The elements of a tuple's type."""
    parts, depth = [""], 0
    for char in re.sub(r"/\*.*?\*/", "", shape)[1:-1]:
        depth += (char in "([{") - (char in ")]}")
        if char == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += char
    return parts


def _nbytes(shape: str) -> float:
    """Of an array's or a tuple's type; layouts name no types."""
    total = 0.0
    for kind, bits, dims in _ARRAY.findall(shape):
        width = 8 if kind == "pred" else int(bits)
        total += math.prod(int(size) for size in dims.split(",") if size) * width / 8
    return total
