"""Meshes of devices for a lattice, and arrays `(*cells, sublattices, ...)` placed on them."""

import itertools
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, PyTree

from jaxspin.devices.hosts import to_host
from jaxspin.devices.shards import axis_name
from jaxspin.lattice import Lattice


def mesh(
    lattice: Lattice,
    devices: int | Sequence[int] | None = None,
    *,
    of: Sequence[Any] | None = None,
) -> Mesh:
    """A mesh that shares the cells of `lattice` out evenly over devices, one axis of the mesh for each of the lattice.

    - `devices`: how many (None: all there are), divided over the axes so that a device exchanges the shortest edges
      with its neighbours; or how many along each axis, such as (4, 2).
    - `of`: the devices to choose from; all those of all processes unless given.

    The axes of the mesh are called `cell_1`, `cell_2`, ..., and are of `AxisType.Auto`: the compiler moves the data,
    and `jaxspin` writes its programs so that only edges have to be moved.

    Raises `ValueError` where there are fewer devices, less than one is asked for, or there is no way to share the cells
    out evenly.

    Example:
        >>> js.devices.mesh(lattice, 1).axis_names
        ('cell_1', 'cell_2')
    """
    available = list(jax.devices() if of is None else of)
    if isinstance(devices, Sequence):
        along = tuple(int(n) for n in devices)
        _check_along(lattice, along)
    else:
        along = _shortest_edges(lattice, len(available) if devices is None else devices)
    count = int(np.prod(along))
    if count > len(available):
        raise ValueError(
            f"{count} devices are wanted and {len(available)} found; use fewer, or start more "
            "(on a CPU: XLA_FLAGS=--xla_force_host_platform_device_count=8)."
        )
    names = tuple(axis_name(axis) for axis in range(lattice.dimension))
    kinds = (AxisType.Auto,) * lattice.dimension
    return jax.make_mesh(along, names, axis_types=kinds, devices=available[:count])


def sharding(mesh: Mesh, *, before: int = 0) -> NamedSharding:
    """How spins lie on the mesh, and whatever has the cells as its axes after the first `before` ones.

    For `jax.device_put` and `jax.jit`; `shard` does it for whole models and data sets.

    Raises `ValueError` for a mesh that shares out no lattice, and a negative `before`.

    Example:
        >>> placed = jax.device_put(spins, js.devices.sharding(js.devices.mesh(lattice, 1)))
        >>> placed.shape
        (4, 4, 1, 3)
    """
    names = _names(mesh)
    if before < 0:
        raise ValueError(f"before = {before} axes cannot come first; give 0 for spins, 1 for frames of them.")
    if not names:
        raise ValueError(f"a mesh of axes {mesh.axis_names} shares out no lattice; make it with jaxspin.devices.mesh.")
    return NamedSharding(mesh, P(*(None,) * before, *names))


def shard(tree: Any, mesh: Mesh, lattice: Lattice | None = None) -> Any:
    """`tree` on the mesh: arrays on the sites are shared out, all others held by every device.

    `tree` is one of these:

    - an array that begins with the cells, such as spins;
    - anything with a `lattice` (a field, `SpinData`, a `Trajectory`): those of its arrays are shared out that begin
      with the cells, or have them after one axis;
    - a pytree of arrays, with the `lattice` given;
    - a function without arguments that makes one of these, for what no device could hold alone: each device computes
      its own part, as in `shard(lambda: random_spins(lattice, key=key), mesh)`.

    Raises `ValueError` for an array that cannot be shared out evenly, one that does not begin with the cells, a tree
    whose lattice is not known, and a mesh made for another number of axes.

    Example:
        >>> mesh = js.devices.mesh(lattice, 1)
        >>> js.devices.shard(spins, mesh).shape, type(js.devices.shard(field, mesh)).__name__
        ((4, 4, 1, 3), 'Exchange')
    """
    if callable(tree) and not hasattr(tree, "lattice"):
        shapes = jax.eval_shape(tree)
        return jax.jit(tree, out_shardings=_placements(shapes, mesh, lattice))()
    if lattice is None and (lattice := getattr(tree, "lattice", None)) is None and not isinstance(tree, _ARRAYS):
        raise ValueError("a tree of arrays does not tell its lattice; pass shard(tree, mesh, lattice).")
    leaves, structure = jax.tree.flatten(tree)
    shared = [
        jax.device_put(leaf, where) if isinstance(leaf, _ARRAYS) else leaf
        for leaf, where in zip(leaves, _placements(leaves, mesh, lattice), strict=True)
    ]
    return jax.tree.unflatten(structure, shared)


def gather(tree: PyTree[Array]) -> PyTree[np.ndarray]:
    """The whole arrays, on every process, in its own memory; call it on all processes.

    A tree of arrays of NumPy with the values of `tree`. For what no process can hold use `save`. It waits for the other
    processes, and raises nothing of its own.

    Example:
        >>> shared = js.devices.shard(spins, js.devices.mesh(lattice, 1))
        >>> type(js.devices.gather(shared)).__name__
        'ndarray'
    """
    return jax.tree.map(to_host, tree)


_ARRAYS = (jax.Array, np.ndarray)


def _names(mesh: Mesh) -> tuple[str, ...]:
    known = {axis_name(axis) for axis in range(len(mesh.axis_names))}
    return tuple(name for name in mesh.axis_names if name in known)


def _placements(tree: Any, mesh: Mesh, lattice: Lattice | None) -> Any:
    whole = sharding(mesh)
    along = tuple(mesh.shape[name] for name in _names(mesh))

    def place(leaf):
        shape = np.shape(leaf)
        cells = shape[: len(along)] if lattice is None else lattice.cells
        if lattice is not None and len(cells) != len(along):
            raise ValueError(f"the mesh shares out {len(along)} axes, the lattice has {len(cells)}; make another mesh.")
        before = next((n for n in (0, 1) if shape[n : n + len(cells)] == cells and len(shape) > n), None)
        if before is None or len(cells) < len(along):
            if lattice is None:
                raise ValueError(f"an array of shape {shape} does not begin with {len(along)} axes of cells.")
            return NamedSharding(mesh, P())
        _check_division(cells, along)
        return whole if before == 0 else sharding(mesh, before=before)

    return jax.tree.map(place, tree)


def _check_along(lattice: Lattice, along: tuple[int, ...]) -> None:
    if len(along) != lattice.dimension or min(along) < 1:
        raise ValueError(
            f"devices={along} does not fit the {lattice.name} lattice; give {lattice.dimension} numbers, 1 for an axis "
            "that stays whole."
        )
    _check_division(lattice.cells, along)


def _check_division(cells: tuple[int, ...], along: tuple[int, ...]) -> None:
    for axis, (n, devices) in enumerate(zip(cells, along, strict=True)):
        if n % devices:
            raise ValueError(
                f"{n} cells along axis {axis} cannot be shared by {devices} devices; use a number of cells that "
                f"{devices} divides, or another number of devices."
            )


def _shortest_edges(lattice: Lattice, count: int) -> tuple[int, ...]:
    """How many devices along each axis: the least surface of a device's cells; of equal ones the fewest axes."""
    if count < 1:
        raise ValueError(f"a mesh needs at least one device, got {count}; leave devices out for all there are.")
    divisors = [n for n in range(1, count + 1) if count % n == 0]
    choices = [
        along
        for along in itertools.product(divisors, repeat=lattice.dimension)
        if np.prod(along) == count and all(n % d == 0 for n, d in zip(lattice.cells, along, strict=True))
    ]
    if not choices:
        raise ValueError(
            f"{lattice.cells} cells cannot be shared out evenly by {count} devices; use cells that they divide, or "
            "another number of devices."
        )

    def cost(along):
        own = [n // d for n, d in zip(lattice.cells, along, strict=True)]
        surface = sum(np.prod(own) / n for n, d in zip(own, along, strict=True) if d > 1)
        return surface, sum(d > 1 for d in along), tuple(-d for d in along)

    return min(choices, key=cost)
