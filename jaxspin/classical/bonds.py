"""Sums over the bonds of a lattice, and the couplings on them."""

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float

from jaxspin.arrays.vectors import add, components, of_planes, planes, scale, settled, stacked
from jaxspin.classical.many_bonds import sum_over_bonds
from jaxspin.couplings import Numbers, finite_real
from jaxspin.devices.shards import reach_of, shards_of
from jaxspin.field import Spins
from jaxspin.lattice import Bond, Lattice
from jaxspin.spins import takes_spins

# More bonds a cell than this are not written out, as 300 take minutes to compile. They are summed by Fourier transforms
# where all cells are alike, else in a loop that is three times slower to run.
_MANY = 48


def are_many(bonds: Sequence[Bond]) -> bool:
    """Whether these are too many to be written out one by one."""
    return len(bonds) > _MANY


@takes_spins
def bond_ends(lattice: Lattice, spins: Spins, bond: Bond) -> tuple[Float[Array, "*cells 3"], Float[Array, "*cells 3"]]:
    """(S_i, S_j) at the two ends of `bond` in every cell, S_j zero beyond an open edge; two arrays `(*cells, 3)`.

    Raises `ValueError` for spins that do not fit the lattice. Take the bonds from `lattice.shell(nth)`; `Exchange` and
    the other terms sum over them faster.

    Example:
        >>> first, second = js.classical.bond_ends(lattice, spins, lattice.shell(1)[0])
        >>> first.shape, second.shape
        ((4, 4, 3), (4, 4, 3))
    """
    return spins[..., bond.start, :], lattice.translate(spins[..., bond.end, :], bond.offset)


def over_bonds(
    lattice: Lattice,
    shells: Sequence[Sequence[Bond]],
    couplings: Sequence[Array],
    spins: Spins,
    act: Callable[[Any, Array, Any], Array],
) -> Spins:
    """At every site the sum of coupling act(index of the bond, spin at its other end, 1 from its start or -1).

    `couplings` are one number or `(*cells, bonds)` for each shell; bonds are counted through all shells.
    """
    bonds = [bond for shell in shells for bond in shell]
    if are_many(bonds):
        return settled(sum_over_bonds(lattice.periodic, shells, couplings, spins, act))
    strengths = [c if c.ndim == 0 else c[..., n] for c, s in zip(couplings, shells, strict=True) for n in range(len(s))]
    around = neighbors_of(lattice, spins, bonds)
    sites = [jnp.zeros_like(spins[..., 0, :]) for _ in range(lattice.sublattices)]
    for index, (bond, strength) in enumerate(zip(bonds, strengths, strict=True)):
        strength = strength.astype(spins.dtype)
        arriving = strength if strength.ndim == 0 else lattice.translate(strength, back(bond))
        there, arrived = around[bond.end, bond.offset], around[bond.start, back(bond)]
        sites[bond.start] = add(sites[bond.start], scale(strength, act(index, there, 1)))
        sites[bond.end] = add(sites[bond.end], scale(arriving, act(index, arrived, -1)))
    # components first here too; and stored, as every component of a torque reads all three of the field
    return settled(stacked([jnp.stack(parts, axis=-1) for parts in zip(*map(components, sites), strict=True)]))


def shared_out(
    lattice: Lattice,
    bonds: Sequence[Bond],
    couplings: Sequence[Array],
    uniform: Sequence[bool],
    spins: Spins,
    total: Callable[[Lattice, Sequence[Array], Spins], Spins],
) -> Spins:
    """`total(lattice, couplings, spins)`, a sum over these bonds, on each device for its own cells.

    Couplings that are not `uniform` begin with the cells.
    """
    shards = shards_of(lattice, spins)
    if shards is None:
        return total(lattice, couplings, spins)
    # one exchange of edges: on 8 devices 1.3 to 7 times as fast as a translation of the shared lattice for each
    reach = reach_of([b.offset for bond in bonds for b in (bond, bond.reversed())])
    layout = shards.spec(after=2)

    def local(part: Array, couplings: Sequence[Array]) -> Array:
        wide = [c if same else shards.widened(c, reach) for c, same in zip(couplings, uniform, strict=True)]
        return shards.home(total(shards.widened_lattice(reach), wide, shards.widened(part, reach)), reach)

    specs = (layout, tuple(P() if same else shards.spec(after=1) for same in uniform))
    return shards.run(local, (spins, tuple(couplings)), specs, layout)


def neighbors_of(lattice: Lattice, spins: Spins, bonds: Sequence[Bond]) -> dict[tuple[int, tuple[int, ...]], Array]:
    """The spins `(*cells, 3)` of sublattice b at R + offset, by (b, offset), for both ends of every bond."""
    ends = [(bond.end, bond.offset) for bond in bonds] + [(bond.start, back(bond)) for bond in bonds]
    spins_at = {}
    for b in range(lattice.sublattices):
        offsets = list(dict.fromkeys(offset for end, offset in ends if end == b))
        if offsets:
            # components first: XLA cancels taking them apart against the stack the spins are, and copies otherwise
            brought = lattice.translations(planes(spins)[..., b], offsets)
            spins_at |= {(b, offset): of_planes(parts) for offset, parts in zip(offsets, brought, strict=True)}
    return spins_at


def back(bond: Bond) -> tuple[int, ...]:
    return tuple(-n for n in bond.offset)


def bond_array(lattice: Lattice, shell: int, values: Numbers) -> Array:
    """Couplings on the bonds of `lattice.shell(shell)` as floats: one number `()`, or `(*cells, bonds)`, energy units.

    Raises `ValueError` for other shapes, and for numbers that are complex, infinite or NaN. Checks what a term of bonds
    is made with; for one number, or several of another shape, use `jaxspin.couplings.real`.

    Example:
        >>> from jaxspin.classical.bonds import bond_array
        >>> bond_array(lattice, 1, 2).shape, bond_array(lattice, 1, np.ones((4, 4, 2))).shape
        ((), (4, 4, 2))
    """
    array, shape = finite_real(values, "a coupling"), (*lattice.cells, len(lattice.shell(shell)))
    if array.shape not in ((), shape):
        raise ValueError(
            f"couplings of shape {array.shape} do not fit shell {shell} of the {lattice.name} lattice; "
            f"give one number, or {shape} for a value on each bond of lattice.shell({shell})."
        )
    return array


def check_uniform(old: Lattice, new: Lattice, *couplings: Array) -> None:
    """Whether a term with these couplings moves from the old lattice to the new: the first lines of its `on(lattice)`.

    Raises `ValueError` for a new lattice of another kind, and for couplings that are arrays: those differ from bond to
    bond, and another size has other bonds.

    Example:
        >>> from jaxspin.classical.bonds import check_uniform
        >>> check_uniform(lattice, js.square(8), jnp.asarray(1.0))
    """
    old.check_kind(new)
    if any(values.ndim for values in couplings):
        raise ValueError("only uniform couplings move to another size of their lattice; build a new term there.")
