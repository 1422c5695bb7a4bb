"""How much memory there is, and the refusal of what needs more."""

import contextlib
import contextvars
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
from jax.core import Tracer

_asking = contextvars.ContextVar("_asking", default=False)
# Where Linux says what a container may use, in its two versions.
_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def memory_of(spins: Any) -> int:
    """Bytes of memory of the devices that hold the spins; of the host where they do not tell."""
    devices = jax.devices()[:1] if isinstance(spins, Tracer) or not hasattr(spins, "devices") else list(spins.devices())
    if devices[0].platform == "cpu":
        return memory_of_host()
    own = [d for d in devices if d.process_index == jax.process_index()]
    limits = [(d.memory_stats() or {}).get("bytes_limit", 0) for d in own]
    share = len(devices) / max(len(own), 1)
    return int(sum(limits) * share) or memory_of_host()


def memory_of_host() -> int:
    """Bytes of memory that this process may have: those of the machine, or fewer where a container says so."""
    sizes = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for path in _LIMITS:
        with contextlib.suppress(OSError, ValueError):  # "max", or no such file
            sizes.append(int(path.read_text()))
    return min(sizes)


@contextlib.contextmanager
def only_asking() -> Iterator[None]:
    """Nothing is run in here: what would not fit into memory is not refused."""
    token = _asking.set(True)
    try:
        yield
    finally:
        _asking.reset(token)


def check_memory(what: str, needed: float, remedy: str) -> None:
    """Raises `MemoryError` where `what` needs more bytes than there are; `remedy` says what to do."""
    room = memory_of(None)
    if math.isfinite(needed) and needed > room and not _asking.get():
        raise MemoryError(
            f"{what} takes about {needed / 1e9:.3g} GB of memory, and there are {room / 1e9:.3g} GB; {remedy}."
        )
