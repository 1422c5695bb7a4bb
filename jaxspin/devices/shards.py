"""A lattice shared out over devices: which cells a device holds, and how it sees the neighbours beyond its edge.

A mesh with an axis called `cell_1` (`cell_2`, `cell_3`) shares the cells along the first (second, third) lattice axis
out evenly. An array tells by its type, while a program is traced, whether it lives on such a mesh, so the same call
becomes one program on one device and another on many. `jaxspin.devices` makes meshes and places arrays on them.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AbstractMesh, AxisType
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Shaped

from jaxspin.lattice import Lattice

# cells needed below and above along each axis
Reach = tuple[tuple[int, int], ...]


def axis_name(axis: int) -> str:
    """What the axis of a mesh is called that shares out this axis of a lattice (counted from 0)."""
    return f"cell_{axis + 1}"


class Shards(NamedTuple):
    """A lattice on a mesh: `names` holds the axis of the mesh for each axis of the lattice, None for a whole one."""

    lattice: Lattice
    mesh: AbstractMesh
    names: tuple[str | None, ...]

    @property
    def cells(self) -> tuple[int, ...]:
        """Those of one device."""
        return tuple(n // self.count(name) for n, name in zip(self.lattice.cells, self.names, strict=True))

    def count(self, name: str | None) -> int:
        """How many devices share the cells along an axis."""
        return 1 if name is None else self.mesh.shape[name]

    def spec(self, before: int = 0, after: int = 0) -> P:
        """How an array is split that has so many axes before and after the cells."""
        return P(*(None,) * before, *self.names, *(None,) * after)

    def run(self, function: Callable[..., Any], arguments: tuple, specs: tuple, out: Any) -> Any:
        """`function` of each device's part of the arguments, with results split as `out` says."""
        local = jax.shard_map(
            function,
            mesh=self.mesh,
            in_specs=specs,
            out_specs=out,
            # over other axes of the mesh a derivative would be summed up again
            axis_names={name for name in self.names if name is not None},
            # the check of what varies from device to device refuses loops that start from constants
            check_vma=False,
        )
        # called outside jit, jax refuses a function that is local along some axes of a mesh only
        return jax.jit(local)(*arguments)

    def by_site(self, function: Callable[..., Array], constants: Any, *arrays: Shaped[Array, "..."]) -> Array:
        """`function(constants, *arrays)`, site by site, of arrays whose last axes are the cells: no communication."""
        d = self.lattice.dimension
        result = jax.eval_shape(function, constants, *arrays)
        specs = (P(), *(self.spec(before=x.ndim - d) for x in arrays))
        return self.run(function, (constants, *arrays), specs, self.spec(before=len(result.shape) - d))

    # --- on one device, within `run` ----------------------------------------------------------------------------

    def widened(self, part: Array, reach: Reach) -> Array:
        """A device's cells (leading axes) and those of its neighbours within `reach`: one exchange an axis and side.

        Zeros beyond an open edge. Raises `ValueError` where a neighbour holds fewer cells than are needed.
        """
        for axis, (name, (below, above)) in enumerate(zip(self.names, reach, strict=True)):
            if name is None or not below + above:
                continue
            have, devices = part.shape[axis], self.mesh.shape[name]
            if max(below, above) > have:
                raise ValueError(
                    f"{devices} devices along axis {axis} leave {have} cells each, fewer than the {max(below, above)} "
                    f"within reach of the field; use at most {self.lattice.cells[axis] // max(below, above)} devices "
                    "there, or a larger lattice."
                )
            wraps = self.lattice.periodic[axis]
            up = [(n, (n + 1) % devices) for n in range(devices) if wraps or n + 1 < devices]
            down = [(target, source) for source, target in up]
            pieces = [part]
            if below:
                last = jax.lax.slice_in_dim(part, have - below, have, axis=axis)
                pieces.insert(0, jax.lax.ppermute(last, name, up))
            if above:
                pieces.append(jax.lax.ppermute(jax.lax.slice_in_dim(part, 0, above, axis=axis), name, down))
            part = jnp.concatenate(pieces, axis=axis)
        return part

    def widened_lattice(self, reach: Reach) -> Lattice:
        """The lattice that a widened part lies on, open along the axes that are shared out."""
        cells, periodic = list(self.cells), list(self.lattice.periodic)
        for axis, (name, (below, above)) in enumerate(zip(self.names, reach, strict=True)):
            if name is not None:
                cells[axis] += below + above
                periodic[axis] = False
        return dataclasses.replace(self.lattice, cells=tuple(cells), periodic=tuple(periodic))

    def home(self, wide: Array, reach: Reach, offset: Sequence[int] | None = None, before: int = 0) -> Array:
        """The device's own cells of a widened array, or those `offset` away; `before` axes precede the cells."""
        for axis, (name, (below, _), have) in enumerate(zip(self.names, reach, self.cells, strict=True)):
            if name is not None:
                start = below + (0 if offset is None else offset[axis])
                wide = jax.lax.slice_in_dim(wide, start, start + have, axis=before + axis)
        return wide


def shards_of(lattice: Lattice, array: Array) -> Shards | None:
    """How `lattice` is shared out where `array` lives, None on one device (and within `Shards.run`, on each of them).

    Raises `ValueError` where the cells cannot be shared out evenly, or the mesh wants every sharding spelled out.
    """
    mesh = jax.typeof(array).sharding.mesh
    kinds = dict(zip(mesh.axis_names, mesh.axis_types, strict=True))
    names = tuple(axis_name(axis) for axis in range(lattice.dimension))
    names = tuple(n if mesh.shape.get(n, 1) > 1 and kinds[n] != AxisType.Manual else None for n in names)
    for axis, name in enumerate(names):
        if name is None:
            continue
        if kinds[name] != AxisType.Auto:
            raise ValueError(
                f"axis {name} of the mesh is explicit; make it with jaxspin.devices.mesh, of AxisType.Auto."
            )
        if lattice.cells[axis] % mesh.shape[name]:
            raise ValueError(
                f"{lattice.cells[axis]} cells along axis {axis} cannot be shared by {mesh.shape[name]} devices; "
                f"use a number of cells that {mesh.shape[name]} divides, or another mesh."
            )
    return Shards(lattice, mesh, names) if any(names) else None


def reach_of(offsets: Sequence[Sequence[int]]) -> Reach:
    """How far offsets of cells go below and above, along each axis."""
    table = np.array(offsets)
    return tuple((max(0, -int(low)), max(0, int(high))) for low, high in zip(table.min(0), table.max(0), strict=True))


def brought(
    lattice: Lattice, array: Shaped[Array, "..."], sites: Sequence[tuple[Sequence[int], int]]
) -> list[Shaped[Array, "..."]]:
    """`lattice.translate(array[..., sublattice, :], offset)` for every (offset, sublattice) of `sites`.

    Across devices the edges are exchanged once for all of them.
    """
    shards = shards_of(lattice, array)
    if shards is None:
        return [lattice.translate(array[..., b, :], offset) for offset, b in sites]
    reach = reach_of([offset for offset, _ in sites])
    own = dataclasses.replace(lattice, cells=shards.cells)

    def local(part):
        wide = shards.widened(part, reach)
        within = [[n if name is None else 0 for n, name in zip(o, shards.names, strict=True)] for o, _ in sites]
        return [
            own.translate(shards.home(wide[..., b, :], reach, offset), rest)
            for (offset, b), rest in zip(sites, within, strict=True)
        ]

    return shards.run(local, (array,), (shards.spec(after=2),), [shards.spec(after=1)] * len(sites))


def fourier_transform(lattice: Lattice, values: Array, *, inverse: bool = False, like: Array | None = None) -> Array:
    """The (inverse) FFT over the cells, the leading axes; axis by axis across devices, whose cells change hands.

    The values live where `like` does, an array that begins with the cells too; None where their own type tells.

    Each transform along an axis that is shared out swaps it with another one (all-to-all), so that no device ever holds
    the whole lattice, unless no other axis is divisible.
    """
    transform = jnp.fft.ifft if inverse else jnp.fft.fft
    shards = shards_of(lattice, values if like is None else like)
    if shards is None:
        axes = tuple(range(lattice.dimension))
        return (jnp.fft.ifftn if inverse else jnp.fft.fftn)(values, axes=axes)

    def local(part):
        for axis, name in enumerate(shards.names):
            devices = shards.count(name)
            others = [k for k in range(part.ndim) if k != axis and part.shape[k] % devices == 0]
            if name is None:
                part = transform(part, axis=axis)
            elif others:
                part = jax.lax.all_to_all(part, name, others[0], axis, tiled=True)
                part = jax.lax.all_to_all(transform(part, axis=axis), name, axis, others[0], tiled=True)
            else:
                have = part.shape[axis]
                full = transform(jax.lax.all_gather(part, name, axis=axis, tiled=True), axis=axis)
                part = jax.lax.dynamic_slice_in_dim(full, jax.lax.axis_index(name) * have, have, axis)
        return part

    spec = shards.spec(after=values.ndim - lattice.dimension)
    return shards.run(local, (values,), (spec,), spec)
