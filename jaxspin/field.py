"""The interface where electrons, networks, classical terms and dynamics meet.

A field maps spins `(*cells, sublattices, 3)` to B of the same shape, in units of the hopping; a potential is a field
that comes from an energy, B_i = -dE/dS_i. Fields add up and scale: `kpm + 0.5 * zeeman`, `a - b`, `-a`, `a / 2`.
"""

import abc
import dataclasses
from collections.abc import Iterator
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from jaxspin.arrays.vectors import add, scale
from jaxspin.couplings import real
from jaxspin.lattice import Lattice
from jaxspin.spins import check_finite, check_methods, takes_spins, tangent

Time = float | Float[Array, ""]
Spins = Float[Array, "*cells sublattices 3"]


def times_of_change(source: Any) -> tuple[Time, ...]:
    """When a field, pulse or schedule changes fast, as far as it says so by a method of this name."""
    return tuple(source.times_of_change()) if hasattr(source, "times_of_change") else ()


class AbstractField(eqx.Module):
    """Anything that pushes spins. Subclass it for a push without an energy, `AbstractPotential` for one with.

    The argument `spins` of every public method, of a subclass's own too, passes through `jaxspin.spins.as_spins`: lists
    and integers become floats; `ValueError` for complex numbers, spins of another lattice and batches (use `jax.vmap`).

    Example:
        >>> class Drive(js.AbstractField):
        ...     def field(self, spins, t=0.0, *, key=None):
        ...         return jnp.cos(t) * jnp.ones_like(spins)
        >>> (field + Drive()).field(spins).shape
        (4, 4, 1, 3)
    """

    # whether B keeps its direction when the spin turns, as an outer field does; see `push`
    parallel_part_is_fixed: ClassVar[bool] = True
    # whether B is a rate of motion, which is not divided by the length of a spin, rather than an energy
    is_velocity: ClassVar[bool] = False
    # whether floats of less than 32 bits are allowed: not where many levels are summed
    half_precision: ClassVar[bool] = True
    # whether it costs little beside electrons and networks, however the lattice is cut; see `narrowest_block`
    is_cheap: ClassVar[bool] = False

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        check_methods(cls, half=cls.half_precision)

    @property
    def lattice(self) -> Lattice | None:
        """The lattice the field lives on, or None for one that fits any."""
        return None

    @property
    def narrowest_block(self) -> tuple[int, ...] | None:
        """The fewest cells along each axis of a block of the lattice on a core of its own; () for any.

        None where cutting the lattice in blocks does not pay, as for electrons that see all of it; see
        `jaxspin.devices.use_cores`.
        """
        return () if self.is_cheap else None

    @takes_spins
    @abc.abstractmethod
    def field(self, spins: Spins, t: Time = 0.0, *, key: PRNGKeyArray | None = None) -> Spins:
        """B_i in energy units, at time `t` (hbar/t), shape of `spins`. `key` feeds stochastic fields."""

    @takes_spins
    def push(self, spins: Spins, t: Time = 0.0, *, key: PRNGKeyArray | None = None) -> Spins:
        """The field as the dynamics takes it: that of `field`, or its part perpendicular to the spins.

        The parallel part does not move a spin. That of electrons, J <sigma> . S, turns with the spin and is many times
        larger than the perpendicular part. A step that held it still would turn the spin about it, and would have to
        be short enough for that: so it is left out. An outer field does not turn with the spin; it stays whole, and a
        step of the rotation solvers is exact in it.
        """
        field = self.field(spins, t, key=key)
        return field if self.parallel_part_is_fixed else tangent(spins, field)

    @takes_spins
    def rate(self, spins: Spins, t: Time = 0.0, *, key: PRNGKeyArray | None = None, moment: Any = None) -> Spins:
        """How fast the push turns spins of length m (`moment`, one number or one a site; 1 unless given): B_i/m_i.

        A torque that is given by a velocity instead of an energy moves spins of every length alike: it has
        `is_velocity` = True and is not divided by m. In a sum each term follows its own rule.
        """
        push = self.push(spins, t, key=key)
        return push if moment is None or self.is_velocity else scale(1 / moment, push)

    def times_of_change(self) -> tuple[Time, ...]:
        """When the field changes fast (a pulse begins, peaks, ends): times at which the dynamics must look."""
        return ()

    def on(self, lattice: Lattice) -> "AbstractField":
        """The same field on another size of its lattice.

        Itself where it fits any lattice: `lattice` is None, and no other lattice is kept under another name. Raises
        `ValueError` for a field that does not know how to move, one whose couplings differ from site to site, and a
        lattice of another kind: build it anew there.
        """
        if self.lattice is None and all(own == lattice for own in _lattices_in(self)):
            return self
        raise ValueError(
            f"{type(self).__name__} does not move to another lattice; build it anew there, or give the class a "
            "property `lattice` and a method `on(lattice)`, as jaxspin.Exchange has them."
        )

    def __add__(self, other: "AbstractField") -> "AbstractField":
        if not isinstance(other, AbstractField):
            return NotImplemented
        terms = (*_terms(self), *_terms(other))
        potentials = tuple(term for term in terms if isinstance(term, AbstractPotential))
        return SumPotential(potentials) if len(potentials) == len(terms) else SumField(terms)

    def __radd__(self, other: Any) -> "AbstractField":
        return self if other == 0 else NotImplemented  # so that sum([...]) works

    # so that NumPy's numbers leave the product to the field, too
    __array_ufunc__ = None

    def __mul__(self, factor: Any) -> "AbstractField":
        if isinstance(factor, AbstractField) or not isinstance(
            factor, jax.Array | np.ndarray | np.generic | int | float
        ):
            return NotImplemented
        factor = real(factor, "the factor of a field")
        if factor.ndim:
            raise ValueError(
                f"a field is scaled by one number, not by an array of shape {factor.shape}; couplings that vary from "
                "site to site are arguments of the term itself."
            )
        term = self.term if isinstance(self, _AbstractScaled) else self
        factor = self.factor * factor.astype(self.factor.dtype) if isinstance(self, _AbstractScaled) else factor
        return ScaledPotential(term, factor) if isinstance(term, AbstractPotential) else ScaledField(term, factor)

    def __rmul__(self, factor: Any) -> "AbstractField":
        return self.__mul__(factor)

    def __truediv__(self, divisor: Any) -> "AbstractField":
        return (
            NotImplemented
            if isinstance(divisor, AbstractField)
            else self * (1 / real(divisor, "the divisor of a field"))
        )

    def __neg__(self) -> "AbstractField":
        return self * -1.0

    def __sub__(self, other: "AbstractField") -> "AbstractField":
        return self + -other if isinstance(other, AbstractField) else NotImplemented


@eqx.filter_jit  # so that a call outside jit compiles once and not operation by operation
def _energy_and_field(potential: "AbstractPotential", spins, t, key):
    energy, slope = jax.value_and_grad(lambda s: potential.energy(s, t, key=key))(spins)
    return energy, -slope


class AbstractPotential(AbstractField):
    """A field with an energy. A new term needs `energy` alone; the field follows by automatic differentiation.

    Example:
        >>> class CubicAnisotropy(js.AbstractPotential):
        ...     def energy(self, spins, t=0.0, *, key=None):
        ...         return -jnp.sum(spins**4)
        >>> (field + CubicAnisotropy()).field(spins).shape
        (4, 4, 1, 3)
    """

    @abc.abstractmethod
    def energy(self, spins: Spins, t: Time = 0.0, *, key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        """The energy E(S), a scalar in units of the hopping."""

    def field(self, spins: Spins, t: Time = 0.0, *, key: PRNGKeyArray | None = None) -> Spins:
        """B_i = -dE/dS_i."""
        return self.energy_and_field(spins, t, key=key)[1]

    def energy_and_field(
        self, spins: Spins, t: Time = 0.0, *, key: PRNGKeyArray | None = None
    ) -> tuple[Float[Array, ""], Spins]:
        """Both, for the price of the field."""
        check_finite(spins)
        return _energy_and_field(self, spins, jnp.asarray(t, spins.dtype), key)


class _AbstractScaled(AbstractField):
    """What a product asks its term; the factor is a leaf, to be differentiated and trained."""

    term: eqx.AbstractVar[Any]
    factor: eqx.AbstractVar[Float[Array, ""]]

    @property
    def lattice(self) -> Lattice | None:
        return self.term.lattice

    def times_of_change(self) -> tuple[Time, ...]:
        return self.term.times_of_change()

    @property
    def narrowest_block(self) -> tuple[int, ...] | None:
        return self.term.narrowest_block

    def push(self, spins: Spins, t: Time = 0.0, *, key: PRNGKeyArray | None = None) -> Spins:
        return scale(self.factor.astype(spins.dtype), self.term.push(spins, t, key=key))

    def rate(self, spins: Spins, t: Time = 0.0, *, key: PRNGKeyArray | None = None, moment: Any = None) -> Spins:
        return scale(self.factor.astype(spins.dtype), self.term.rate(spins, t, key=key, moment=moment))

    def on(self, lattice: Lattice) -> "AbstractField":
        """The same factor times the term on another size of its lattice."""
        return self.term.on(lattice) * self.factor


class ScaledField(_AbstractScaled):
    """B = factor times the field of the term; made by `factor * field`."""

    term: AbstractField
    factor: Float[Array, ""]

    def field(self, spins: Spins, t: Time = 0.0, *, key: PRNGKeyArray | None = None) -> Spins:
        return scale(self.factor.astype(spins.dtype), self.term.field(spins, t, key=key))


class ScaledPotential(_AbstractScaled, AbstractPotential):
    """E = factor times the energy of the term, with the term's fast field; made by `factor * potential`."""

    term: AbstractPotential
    factor: Float[Array, ""]

    def energy(self, spins: Spins, t: Time = 0.0, *, key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        return self.factor.astype(spins.dtype) * self.term.energy(spins, t, key=key)

    def energy_and_field(
        self, spins: Spins, t: Time = 0.0, *, key: PRNGKeyArray | None = None
    ) -> tuple[Float[Array, ""], Spins]:
        factor = self.factor.astype(spins.dtype)
        energy, field = self.term.energy_and_field(spins, t, key=key)
        return factor * energy, scale(factor, field)


class _AbstractSum(AbstractField):
    """What a sum asks each of its terms."""

    terms: eqx.AbstractVar[tuple[Any, ...]]

    @property
    def lattice(self) -> Lattice | None:
        return _common_lattice(self.terms)

    def __check_init__(self):
        _common_lattice(self.terms)

    def times_of_change(self) -> tuple[Time, ...]:
        return tuple(t for term in self.terms for t in term.times_of_change())

    @property
    def narrowest_block(self) -> tuple[int, ...] | None:
        blocks = [term.narrowest_block for term in self.terms]
        if any(block is None for block in blocks):
            return None
        return tuple(max(along) for along in zip(*filter(None, blocks), strict=True))

    def on(self, lattice: Lattice) -> "AbstractField":
        """The sum of the terms on another size of the lattice."""
        return sum(term.on(lattice) for term in self.terms)  # pyright: ignore[reportReturnType]

    def push(self, spins: Spins, t: Time = 0.0, *, key: PRNGKeyArray | None = None) -> Spins:
        keys = _split(key, len(self.terms))
        return add(*(term.push(spins, t, key=k) for term, k in zip(self.terms, keys, strict=True)))

    def rate(self, spins: Spins, t: Time = 0.0, *, key: PRNGKeyArray | None = None, moment: Any = None) -> Spins:
        if moment is None:
            return self.push(spins, t, key=key)
        keys = _split(key, len(self.terms))
        return add(*(term.rate(spins, t, key=k, moment=moment) for term, k in zip(self.terms, keys, strict=True)))


class SumField(_AbstractSum):
    """B = sum of the terms' fields; made by `a + b`."""

    terms: tuple[AbstractField, ...]

    def field(self, spins: Spins, t: Time = 0.0, *, key: PRNGKeyArray | None = None) -> Spins:
        keys = _split(key, len(self.terms))
        return add(*(term.field(spins, t, key=k) for term, k in zip(self.terms, keys, strict=True)))


class SumPotential(_AbstractSum, AbstractPotential):
    """E = sum of the terms' energies; made by `a + b`. Each term keeps its own fast field."""

    terms: tuple[AbstractPotential, ...]

    def energy(self, spins: Spins, t: Time = 0.0, *, key: PRNGKeyArray | None = None) -> Float[Array, ""]:
        keys = _split(key, len(self.terms))
        return sum_of(term.energy(spins, t, key=k) for term, k in zip(self.terms, keys, strict=True))

    def energy_and_field(
        self, spins: Spins, t: Time = 0.0, *, key: PRNGKeyArray | None = None
    ) -> tuple[Float[Array, ""], Spins]:
        keys = _split(key, len(self.terms))
        both = [term.energy_and_field(spins, t, key=k) for term, k in zip(self.terms, keys, strict=True)]
        return sum_of(e for e, _ in both), add(*(b for _, b in both))


def sum_of(arrays):
    """The sum without the integer zero that `sum` begins with, which strict dtype promotion refuses."""
    first, *rest = arrays
    for array in rest:
        first = first + array
    return first


def _lattices_in(module: eqx.Module) -> Iterator[Lattice]:
    """All that a module keeps, in static fields and in modules within it too."""
    for field in dataclasses.fields(module):
        value = getattr(module, field.name, None)
        for part in jax.tree.leaves(value, is_leaf=lambda x: isinstance(x, Lattice | eqx.Module)):
            if isinstance(part, Lattice):
                yield part
            elif isinstance(part, eqx.Module):
                yield from _lattices_in(part)


def _terms(field: AbstractField) -> tuple[AbstractField, ...]:
    return tuple(field.terms) if isinstance(field, _AbstractSum) else (field,)


def _split(key: PRNGKeyArray | None, count: int):
    return (None,) * count if key is None else tuple(jax.random.split(key, count))


def _common_lattice(terms: tuple[AbstractField, ...]) -> Lattice | None:
    lattices = {term.lattice for term in terms} - {None}
    if len(lattices) > 1:
        raise ValueError(
            "fields on different lattices cannot be added: "
            + " and ".join(f"{x.name} {x.cells}, periodic {x.periodic}" for x in lattices if x is not None)
            + "; build every term on the same lattice."
        )
    return next(iter(lattices), None)
