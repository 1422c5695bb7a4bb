"""All cores of a machine without an accelerator.

JAX runs the loops of one program on one core. Told that the processor is several devices, it runs a block of the
lattice on each at the same time, and smaller blocks stay in the caches.
"""

import os
from collections.abc import Sequence

import jax
import numpy as np
from jax.core import Tracer
from jax.sharding import Mesh
from jaxtyping import Array, Float

from jaxspin.devices.meshes import mesh
from jaxspin.lattice import Lattice

# Sites of a block at least: less is not worth an edge.
_LEAST_SITES = 256


def use_cores(blocks: int | None = None) -> int:
    """Let `jaxspin.simulate` use all cores of a machine without an accelerator; returns the number of blocks.

    It makes the processor that many devices of JAX (`jax_num_cpu_devices`; None: one for each core; more of them get in
    each other's way: two cores run a learnt quench 2.0 times as fast by 2 devices, 1.7 by 8). Runs of a learnt
    field then cut the lattice in blocks by themselves, one on each device, wherever that pays; they give the same
    spins, to rounding, as one array. On accelerators it changes nothing. The experiments' command lines call it.

    Raises `ValueError` for less than one block, and `RuntimeError` where JAX has computed something already: call it
    before anything else.

    Example:
        >>> js.devices.use_cores()
        Traceback (most recent call last):
        RuntimeError: JAX has counted its devices already; call js.devices.use_cores() before anything is computed.
    """
    blocks = _cores() if blocks is None else int(blocks)
    if blocks < 1:
        raise ValueError(f"a lattice cannot be cut in {blocks} blocks; leave blocks out for one a core.")
    try:
        jax.config.update("jax_num_cpu_devices", blocks)
    except RuntimeError as error:
        raise RuntimeError(
            "JAX has counted its devices already; call js.devices.use_cores() before anything is computed."
        ) from error
    return blocks


def mesh_of_cores(
    lattice: Lattice | None, spins: Float[Array, "*cells sublattices 3"], narrowest: Sequence[int] | None
) -> Mesh | None:
    """The mesh on which a field that needs blocks of `narrowest` cells at least runs faster, or None.

    None where there is one device, no CPU, or more than one process; for spins within jit or placed by the user; and
    where the lattice cannot be cut in blocks that are large enough.
    """
    if lattice is None or not narrowest or isinstance(spins, Tracer) or not _single(spins):
        return None
    devices = jax.devices()
    if devices[0].platform != "cpu" or jax.process_count() > 1:
        return None
    for count in range(min(len(devices), lattice.sites // _LEAST_SITES), 1, -1):
        try:
            found = mesh(lattice, count)
        except ValueError:  # the cells cannot be shared out evenly by so many
            continue
        along = tuple(found.shape.values())
        own = [n // parts for n, parts in zip(lattice.cells, along, strict=True)]
        if all(n >= least or parts == 1 for n, least, parts in zip(own, narrowest, along, strict=True)):
            return found
    return None


def _single(spins: Array) -> bool:
    """Whether an array lies on one device, where nobody has put it."""
    return isinstance(spins, np.ndarray) or (isinstance(spins, jax.Array) and not spins.committed)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
