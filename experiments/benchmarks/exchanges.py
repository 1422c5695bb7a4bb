"""What devices hand on to one another, counted in a compiled program, and the edges of their blocks."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np


def handed_on(text: str) -> dict[str, Any]:
    """The exchanges of edges in a compiled program, and the bytes that a device sends in them; other collectives."""
    calls = re.findall(r"= [a-z]+(\d+)\[([\d,]*)\]\S* collective-permute(?:-start)?\(", text)
    sent = sum(int(bits) // 8 * int(np.prod([int(n) for n in shape.split(",") if n])) for bits, shape in calls)
    others = re.findall(r" (all-gather|all-to-all|all-reduce|reduce-scatter)(?:-start)?\(", text)
    return {
        "exchanges": len(calls),
        "bytes a device": sent,
        "others": {name: others.count(name) for name in sorted(set(others))},
    }


def edge(cells: Sequence[int], along: Sequence[int]) -> int:
    """Cells on the edges of a device's block that face other devices."""
    block = [n // d for n, d in zip(cells, along, strict=True)]
    return sum(2 * int(np.prod(block)) // n for n, d in zip(block, along, strict=True) if d > 1)
