"""What is wanted of the density matrix of a channel: on sites, on bonds, or all of it.

A measure takes its numbers from one slice after another, in two ways:

- `undriven`, the part without bias, of G + G+ at a complex energy: from the blocks G_(n,n), G_(n,n+1), G_(n+1,n).
- `driven`, what the leads fill in, of G Gamma G+: from the columns x_n of G at the leads' sites, and `weighted`, these
  times w Gamma.

All are static: a program is compiled for each.
"""

import abc
import dataclasses
from collections.abc import Callable
from typing import ClassVar

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxspin.electrons.hoppings import PAULI, Hopping
from jaxspin.electrons.negf.linalg import dagger, multiply
from jaxspin.electrons.negf.slices import Cut, pairs
from jaxspin.lattice import Bond

Found = dict[str, Array]


class AbstractMeasure(abc.ABC):
    """Numbers of each slice that are linear in rho, by name."""

    whole: ClassVar[bool] = False  # whether the device has to be one slice

    @abc.abstractmethod
    def undriven(self, here: Array, forth: Array, back: Callable[[], Array]) -> Found:
        """Of G + G+, from G_(n,n), G_(n,n+1) and, made only where it is needed, G_(n+1,n)."""

    @abc.abstractmethod
    def driven(self, weighted: Array, x: Array, after: Array) -> Found:
        """Of G Gamma G+, from x_n Gamma, x_n and x_(n+1)."""

    @abc.abstractmethod
    def with_half(self, found: Found) -> Found:
        """With the 1/2 of rho = 1/2 + T sum ... added."""


@dataclasses.dataclass(frozen=True)
class OnSite(AbstractMeasure):
    """ "onsite": (n, <sigma>) of each site, `(slices, sites, 4)`."""

    def undriven(self, here, forth, back):
        site = np.arange(here.shape[0] // 2)
        blocks = _blocks(here, site, site)
        return {"onsite": _onsite(blocks + _adjoint(blocks))}

    def driven(self, weighted, x, after):
        return {"onsite": _onsite(_products(_by_site(weighted), _by_site(x)))}

    def with_half(self, found):
        return {**found, "onsite": found["onsite"].at[..., 0].add(1.0)}  # both spins, half each


@dataclasses.dataclass(frozen=True)
class OnBonds(AbstractMeasure):
    """Those of `OnSite`, and rho on `bonds`, `(slices, pairs, 2, 2)`: "inner" within a slice, "upper" to the next."""

    where: Cut
    bonds: tuple[Bond, ...]

    def undriven(self, here, forth, back):
        (i, j), (up_i, up_j) = self._inner(), self._upper()
        return {
            **OnSite().undriven(here, forth, back),
            "inner": _blocks(here, i, j) + _adjoint(_blocks(here, j, i)),
            "upper": _blocks(forth, up_i, up_j) + _adjoint(_blocks(back(), up_j, up_i)),
        }

    def driven(self, weighted, x, after):
        (i, j), (up_i, up_j) = self._inner(), self._upper()
        left, right = _by_site(weighted), _by_site(x)
        return {
            **OnSite().driven(weighted, x, after),
            "inner": _products(left[i], right[j]),
            "upper": _products(left[up_i], _by_site(after)[up_j]),
        }

    def with_half(self, found):
        return OnSite().with_half(found)

    def currents(self, hoppings: tuple[Hopping, ...], found: Found) -> Array:
        """I = 2 Im(t <c+_i M c_j>) of each bond, `(*cells, hoppings)`."""
        return self._through(hoppings, found, lambda spin: spin)

    def spin_currents(self, hoppings: tuple[Hopping, ...], found: Found) -> Array:
        """I = Im(t <c+_i (sigma M + M sigma) c_j>) of each bond, `(*cells, hoppings, 3)`."""

        def turned(sigma):
            return lambda spin: (sigma @ spin + spin @ sigma) / 2

        each = [self._through(hoppings, found, turned(jnp.asarray(sigma, found["inner"].dtype))) for sigma in PAULI]
        return jnp.stack(each, axis=-1)

    def _through(self, hoppings: tuple[Hopping, ...], found: Found, carried: Callable[[Array], Array]) -> Array:
        """2 Im(t <c+_i K c_j>), K what `carried` makes of M."""
        where, columns = self.where, []
        starts = {"inner": 0, "upper": 0}
        for h in hoppings:
            ctype = found["inner"].dtype
            amplitude = where.cells_into(jnp.broadcast_to(h.amplitude.astype(ctype), where.lattice.cells))
            spin = carried(jnp.eye(2, dtype=ctype) if h.spin is None else h.spin.astype(ctype))
            current = jnp.zeros(amplitude.shape, found["inner"].real.dtype)
            for p in pairs(where, *h.bond[:3]):
                name = "inner" if p.step == 0 else "upper"
                rho = found[name][:, starts[name] : starts[name] + len(p.i)]
                starts[name] += len(p.i)
                if p.step == -1:
                    rho = _adjoint(rho)
                    rho = jnp.concatenate([jnp.zeros_like(rho[:1]), rho[:-1]])
                elif p.step == 1:
                    rho = jnp.concatenate([rho[:-1], jnp.zeros_like(rho[:1])])
                moved = amplitude[:, p.cell] * jnp.sum(spin[None, None] * jnp.conj(rho), axis=(-2, -1))
                current = current.at[:, p.cell].add(2 * jnp.imag(moved))
            columns.append(where.cells_back(current))
        return jnp.stack(columns, axis=-1)

    def _upper(self) -> tuple[np.ndarray, np.ndarray]:
        """Sites (i in slice n, j in slice n + 1) of all bonds between slices, bond after bond."""
        return _joined([(p.i, p.j) if p.step == 1 else (p.j, p.i) for p in self._pairs() if p.step != 0])

    def _inner(self) -> tuple[np.ndarray, np.ndarray]:
        """Sites (i, j) of all bonds within a slice."""
        return _joined([(p.i, p.j) for p in self._pairs() if p.step == 0])

    def _pairs(self):
        return [p for bond in self.bonds for p in pairs(self.where, *bond[:3])]


@dataclasses.dataclass(frozen=True)
class Matrix(AbstractMeasure):
    """ "matrix": all of rho, `(1, 2N, 2N)`, of a device that is one slice."""

    whole = True

    def undriven(self, here, forth, back):
        return {"matrix": here + dagger(here)}

    def driven(self, weighted, x, after):
        return {"matrix": multiply(weighted, dagger(x))}

    def with_half(self, found):
        matrix = found["matrix"]
        return {"matrix": matrix + 0.5 * jnp.eye(matrix.shape[-1], dtype=matrix.dtype)[None]}


def _joined(tables: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    empty = np.zeros(0, int)
    i, j = (np.concatenate([empty, *(pair[k] for pair in tables)]) for k in range(2))
    return i, j


def _by_site(x: Array) -> Array:
    """Rows by site and spin, `(sites, 2, columns)`."""
    return x.reshape(-1, 2, x.shape[1])


def _products(left: Array, right: Array) -> Array:
    """sum_m left_(is,m) conj(right_(jt,m)), `(pairs, 2, 2)`."""
    return jnp.sum(left[:, :, None] * jnp.conj(right)[:, None, :], axis=-1)


def _blocks(block: Array, i: np.ndarray, j: np.ndarray) -> Array:
    """The 2x2 blocks (i, j) of a matrix, `(pairs, 2, 2)`."""
    size = block.shape[0] // 2
    return block.reshape(size, 2, size, 2)[i, :, j, :]


def _adjoint(pairs: Array) -> Array:
    return jnp.conj(jnp.swapaxes(pairs, -1, -2))


def _onsite(blocks: Array) -> Array:
    """(n, <sigma>) of the 2x2 blocks rho_(is,it), `(sites, 4)`."""
    up, down, cross = blocks[:, 0, 0], blocks[:, 1, 1], blocks[:, 0, 1]
    values = (jnp.real(up + down), 2 * jnp.real(cross), -2 * jnp.imag(cross), jnp.real(up - down))
    return jnp.stack(values, axis=-1)
