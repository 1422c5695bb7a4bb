"""How many bytes a compiled program moves: loops counted as often as they run, which XLA's count does not."""

import dataclasses
import re
from collections.abc import Iterator

_BITS = {"pred": 8, "token": 0, "opaque": 0, "c64": 64, "c128": 128, "bf16": 16}
_ARRAY = re.compile(r"\b(pred|token|opaque|bf16|[a-z]+\d+\w*)\[([\d,]*)\]")
_COMPUTATION = re.compile(r"^(?:ENTRY )?%?([\w.\-]+) \(.*\) -> .* \{$")
_INSTRUCTION = re.compile(r"^\s+(ROOT )?%?([\w.\-]+) = (.*)$")
_NAME = re.compile(r"%([\w.\-]+)")
# What names memory and moves none.
_FREE = (
    "parameter constant tuple get-tuple-element bitcast after-all partition-id replica-id opt-barrier "
    "optimization-barrier bitcast-convert add-dependency"
)


@dataclasses.dataclass(frozen=True)
class _Instruction:
    kind: str
    name: str
    size: int
    operands: tuple[str, ...]
    called: dict[str, tuple[str, ...]]
    trips: int | None
    place: str
    root: bool
    # of a parameter, which one it is
    number: int


@dataclasses.dataclass
class Traffic:
    """Bytes that the parts of a program read and write; `inside` is one turn of the loop that was named.

    `whole` says whether the length of every loop was known.
    """

    bytes: int = 0
    whole: bool = True
    inside: "Traffic | None" = None

    def add(self, other: "Traffic", times: int = 1) -> None:
        """Add another one so many times."""
        self.bytes += times * other.bytes
        self.whole &= other.whole
        self.inside = self.inside or other.inside


def traffic(text: str, loop: str | None = None) -> Traffic:
    """The bytes of a compiled program, `jax.stages.Compiled.as_text()`.

    Every kernel reads its arguments and writes its result once; what is looked up, or written in place, counts as far
    as it is touched. Caches serve a part of it. The outermost loop in a `jax.named_scope(loop)` is left out, and one
    turn of it is `Traffic.inside`. A loop of unknown length counts once.

    Raises `ValueError` for a text that is no such program.
    """
    programs, entry = _read(text)
    if entry is None:
        raise ValueError("this is no program of XLA; give the text of a compiled one, compiled.as_text().")
    return _of(programs, entry, loop)


def _of(programs: dict[str, list[_Instruction]], name: str, loop: str | None) -> Traffic:
    total = Traffic()
    sizes = {instruction.name: instruction.size for instruction in programs[name]}
    for instruction in programs[name]:
        kind, called = instruction.kind, instruction.called
        if kind in _FREE.split():
            continue
        if kind == "while":
            named = loop is not None and f"/{loop}/" in f"/{instruction.place}/"
            turn = Traffic()
            for part in (*called.get("body", ()), *called.get("condition", ())):
                turn.add(_of(programs, part, None if named else loop))
            if named:
                total.add(Traffic(inside=turn))
                continue
            turn.whole &= instruction.trips is not None or turn.bytes == 0
            total.add(turn, 1 if instruction.trips is None else instruction.trips)
        elif kind == "conditional":
            branches = [_of(programs, part, loop) for parts in called.values() for part in parts]
            total.add(max(branches, key=lambda branch: (branch.inside is not None, branch.bytes)))
        elif kind == "call":
            for part in called.get("to_apply", ()):
                total.add(_of(programs, part, loop))
        elif kind == "fusion":
            (inner,) = called["calls"]
            total.bytes += _fused(programs[inner], instruction, sizes)
        else:
            total.bytes += _touched(instruction, [sizes.get(x, 0) for x in instruction.operands])
    return total


def _touched(instruction: _Instruction, operands: list[int]) -> int:
    """What one instruction reads and writes."""
    kind, size = instruction.kind, instruction.size
    if kind in ("dynamic-slice", "slice"):
        return 2 * size
    if kind == "gather":
        return 2 * size + sum(operands[1:])
    if kind == "dynamic-update-slice":
        return 2 * operands[1]
    if kind == "scatter":
        return 3 * operands[-1] + sum(operands[1:-1])
    return size + sum(operands)


def _fused(body: list[_Instruction], outer: _Instruction, sizes: dict[str, int]) -> int:
    """What a kernel of several instructions reads and writes."""
    within = {instruction.name: instruction for instruction in body}
    moved = 0
    for parameter in (instruction for instruction in body if instruction.kind == "parameter"):
        given = outer.operands[parameter.number]
        read = 0
        for user in _users(body, parameter.name):
            first = bool(user.operands) and _source(within, user.operands[0]) == parameter.name
            if user.kind in ("dynamic-slice", "slice", "gather") and first:
                read += user.size
            elif not (user.kind == "dynamic-update-slice" and first):
                read = sizes.get(given, 0)
                break
        moved += min(read, sizes.get(given, 0))
    root = next(instruction for instruction in body if instruction.root)
    parts = [within[x] for x in root.operands] if root.kind == "tuple" else [root]
    for part in parts:
        part = within[_source(within, part.name)]
        moved += within[part.operands[1]].size if part.kind == "dynamic-update-slice" else part.size
    return moved


def _source(within: dict[str, _Instruction], name: str) -> str:
    """Where a value comes from, seen through changes of its name alone."""
    while within[name].kind in ("bitcast", "copy", "reshape") and within[name].operands:
        name = within[name].operands[0]
    return name


def _users(body: list[_Instruction], name: str) -> Iterator[_Instruction]:
    for instruction in body:
        if name in instruction.operands:
            if instruction.kind == "bitcast":
                yield from _users(body, instruction.name)
            else:
                yield instruction


def _read(text: str) -> tuple[dict[str, list[_Instruction]], str | None]:
    """The instructions of each part of a program, and the name of the part where it begins."""
    programs: dict[str, list[_Instruction]] = {}
    entry = current = None
    for line in text.splitlines():
        if found := _COMPUTATION.match(line):
            current = found[1]
            programs[current] = []
            entry = current if line.startswith("ENTRY") else entry
        elif line.startswith("}"):
            current = None
        elif current is not None and (found := _INSTRUCTION.match(line)):
            programs[current].append(_parsed(found[2], found[3], found[1] is not None))
    return programs, entry


def _parsed(name: str, rest: str, root: bool) -> _Instruction:
    # the shape, the kind, and what stands in its brackets
    shape, rest = _shape(rest)
    kind, _, rest = rest.partition("(")
    inside, attributes = _brackets(rest)
    called = {
        key: tuple(_NAME.findall(value))
        for key, value in re.findall(
            r"(body|condition|calls|to_apply|true_computation|false_computation|branch_computations)=(%[\w.\-]+|\{[^}]*\})",
            attributes,
        )
    }
    trips = re.search(r'"known_trip_count":\{"n":"(\d+)"\}', attributes)
    place = re.search(r'op_name="([^"]*)"', attributes)
    size = sum(_size(kind_, sides) for kind_, sides in _ARRAY.findall(shape))
    return _Instruction(
        kind.strip(),
        name,
        size,
        tuple(_NAME.findall(inside)),
        called,
        int(trips[1]) if trips else None,
        place[1] if place else "",
        root,
        int(inside) if kind.strip() == "parameter" else 0,
    )


def _shape(rest: str) -> tuple[str, str]:
    if not rest.startswith("("):
        shape, _, rest = rest.partition(" ")
        return shape, rest
    inside, rest = _brackets(rest[1:])
    return inside, rest.lstrip()


def _brackets(text: str) -> tuple[str, str]:
    """What stands before the bracket that closes, and what comes after it."""
    depth = 1
    for place, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if depth == 0:
            return text[:place], text[place + 1 :]
    return text, ""


def _size(kind: str, sides: str) -> int:
    digits = re.match(r"[a-z]+(\d+)", kind)
    bits = _BITS.get(kind, int(digits[1]) if digits else 0)
    count = 1
    for side in sides.split(","):
        count *= int(side) if side else 1
    return -(-bits * count // 8)
