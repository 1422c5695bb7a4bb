"""Surface Green's functions of leads that go on for ever: in closed form, mode by mode, and by decimation."""

import dataclasses
import functools
import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from jaxspin.electrons.hoppings import PAULI
from jaxspin.electrons.negf.leads import AbstractSelfEnergy
from jaxspin.electrons.negf.linalg import dagger, inverse, multiply
from jaxspin.electrons.negf.slices import Cut, pairs
from jaxspin.lattice import Lattice


class Chains(AbstractSelfEnergy):
    """A lead each of whose modes is a chain: |v_c|^2 g with the surface Green's function g of the chain.

    `levels` e, `square` |v|^2 and `contact` |v_c|^2 of each mode, `(m,)`; `slicing` are the arguments of `lead_modes`.
    """

    levels: Float[Array, " m"]
    square: Float[Array, " m"]
    contact: Float[Array, " m"]
    slicing: tuple[Lattice, int, int, int] = eqx.field(static=True)

    def self_energy(self, energy: Complex[Array, ""]) -> Complex[Array, " orbitals"]:
        sigma = chain_surface(energy - self.levels.astype(energy.dtype), self.square, self.contact)
        return jnp.repeat(sigma, 2)

    def modes(self) -> np.ndarray:
        modes = lead_modes(*self.slicing)
        assert modes is not None
        return modes[0]


class MagneticChains(AbstractSelfEnergy):
    """Chains with the exchange field h = J S on all their sites: either spin along h is a chain by itself.

    Sigma = (s_+ + s_-)/2 + (s_+ - s_-)/2 n.sigma with n = h/|h| and s_+- of the levels e -+ |h|. The other fields are
    those of `Chains`.
    """

    levels: Float[Array, " m"]
    square: Float[Array, " m"]
    contact: Float[Array, " m"]
    exchange: Float[Array, " 3"]
    slicing: tuple[Lattice, int, int, int] = eqx.field(static=True)

    def self_energy(self, energy: Complex[Array, ""]) -> Complex[Array, "orbitals orbitals"]:
        def surface(x):
            return chain_surface(x, self.square, self.contact)

        h = self.exchange
        square = jnp.sum(h**2)
        length = jnp.sqrt(jnp.where(square > 0, square, 1)).astype(energy.dtype)
        x = energy - self.levels.astype(energy.dtype)
        # without exchange the divided difference is a derivative
        away = jnp.where(square > 0, length, 0)
        up, down = surface(x + away), surface(x - away)
        slope = jax.jvp(surface, (x,), (jnp.ones_like(x),))[1]
        odd = jnp.where(square > 0, (up - down) / (2 * length), slope)
        one, sigma = jnp.eye(2, dtype=energy.dtype), jnp.asarray(PAULI, energy.dtype)
        along = jnp.sum(h.astype(energy.dtype)[:, None, None] * sigma, axis=0)
        blocks = ((up + down) / 2)[:, None, None] * one[None] + odd[:, None, None] * along[None]
        m = len(self.levels)
        apart = jnp.eye(m, dtype=energy.dtype)[:, None, :, None] * blocks[:, :, None, :]
        return apart.reshape(2 * m, 2 * m)

    def modes(self) -> np.ndarray:
        modes = lead_modes(*self.slicing)
        assert modes is not None
        return modes[0]


class Layers(AbstractSelfEnergy):
    """A lead of equal layers: Sigma = V_c g V_c+, g = (z - h - V g V+)^-1 by decimation.

    `h` `(n, n)` is a layer, `hop` V leads from a layer to the next one away from the device, and `contact` V_c from the
    device's sites to the first layer. Where `degenerate`, they are those of either spin.
    """

    h: Array
    hop: Array
    contact: Array
    broadened: float = eqx.field(static=True)
    degenerate: bool = eqx.field(static=True)

    def self_energy(self, energy: Complex[Array, ""]) -> Complex[Array, "orbitals orbitals"]:
        h, v, vc = (x.astype(energy.dtype) for x in (self.h, self.hop, self.contact))
        real = jnp.finfo(energy.dtype).dtype
        # below rounding a broadening would do nothing
        broadening = max(self.broadened, 4 * float(jnp.finfo(real).eps))
        steps = int(np.ceil(np.log2(200 / broadening)))
        g = decimate(energy + jnp.asarray(1j * broadening, energy.dtype), h, v, steps)
        sigma = multiply(multiply(vc, g), dagger(vc))
        return jnp.kron(sigma, jnp.eye(2, dtype=energy.dtype)) if self.degenerate else sigma


@functools.lru_cache(maxsize=64)
def lead_slices(lattice: Lattice, axis: int, thickness: int, shells: int) -> tuple[np.ndarray, np.ndarray]:
    """(h, V) of unit hopping for each shell, `(shells, m, m)`: within a slice of the lead, and to the next one."""
    cells = list(lattice.cells)
    cells[axis] = 2 * thickness
    periodic = tuple(p and k != axis for k, p in enumerate(lattice.periodic))
    where = Cut(dataclasses.replace(lattice, cells=tuple(cells), periodic=periodic), axis, thickness)
    h, v = np.zeros((2, shells, where.sites, where.sites))
    bonds = [(shell, bond) for shell in range(shells) for bond in lattice.shell(shell + 1)]
    for n, bond in bonds:
        for p in pairs(where, *bond[:3]):
            if p.step == 0:
                np.add.at(h[n], (p.i, p.j), 1.0)
                np.add.at(h[n], (p.j, p.i), 1.0)
            else:
                np.add.at(v[n], (p.i, p.j) if p.step == 1 else (p.j, p.i), 1.0)
    return h, v


@functools.lru_cache(maxsize=64)
def lead_modes(
    lattice: Lattice, axis: int, thickness: int, shells: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """(U, e, v): columns U diagonalize all of h and V, with values e and v `(shells, m)`; None if nothing does."""
    h, v = lead_slices(lattice, axis, thickness, shells)
    family = [*h, *(v + np.swapaxes(v, 1, 2)), *(1j * (v - np.swapaxes(v, 1, 2)))]
    if not any(np.iscomplexobj(x) and np.abs(x).max() > 0 for x in family):
        family = [np.real(x) for x in family]
    # coefficients without a common measure, so that no two different modes fall together
    mixture = np.sum([c * x for c, x in zip(_irrational(), family, strict=False)], axis=0)
    u = np.linalg.eigh(mixture)[1]
    seen = [np.conj(u.T) @ x @ u for x in (*h, *v)]
    if any(np.abs(x - np.diag(np.diagonal(x))).max() > 1e-10 for x in seen):
        return None
    values = [np.diagonal(x) for x in seen]
    return u, np.real(np.stack(values[:shells])), np.stack(values[shells:])


def _irrational():
    return ((n * 0.6180339887498949 + 0.37) % 1 + 0.5 for n in itertools.count(1))


def chain_surface(x: Array, square: Array, coupling: Array) -> Array:
    """|c|^2 g with g = [x - sqrt(x^2 - 4 |v|^2)]/(2 |v|^2), the root that is small far from the band (Im x >= 0)."""
    inside = x * x - 4 * square.astype(x.dtype)
    # At an edge the root has no derivative and a clean wire no inverse; a rounding inside the band it has both.
    # The root of a rounding, 1e-8, is what any energy so near an edge is good for.
    edge = inside == 0
    least = jax.lax.stop_gradient(jnp.abs(x)) * jnp.finfo(x.dtype).eps ** 0.5
    least = jax.lax.complex(jnp.zeros_like(least), least)
    root = jnp.where(edge, least, square_root(jnp.where(edge, 1, inside)))
    wrong = jnp.where(jnp.imag(root) == 0, jnp.real(root) * jnp.real(x) < 0, jnp.imag(root) < 0)
    below = x + jnp.where(wrong, -root, root)
    empty = below == 0
    return jnp.where(empty, 0, 2 * coupling.astype(x.dtype) / jnp.where(empty, 1, below))


@jax.custom_jvp
def square_root(z: Array) -> Array:
    """The root with Re >= 0 of z != 0: XLA's own minds infinities, and takes four programs for it."""
    a, b = jnp.real(z), jnp.imag(z)
    large = jnp.sqrt((jnp.abs(a) + jnp.abs(z)) / 2)
    small = b / (2 * large)
    return jax.lax.complex(jnp.where(a < 0, jnp.abs(small), large), jnp.where(a < 0, jnp.copysign(large, b), small))


@square_root.defjvp
def _square_root_jvp(primals, tangents):
    root = square_root(*primals)
    return root, tangents[0] / (2 * root)


def decimate(z: Array, h: Array, v: Array, steps: int) -> Array:
    """g = (z - h - V g V+)^-1 by doubling the distance `steps` times; Im z > 0."""
    one = jnp.eye(h.shape[0], dtype=h.dtype)

    def double(state, _):
        surface, bulk, forth, back = state
        g = inverse(z * one - bulk)
        there, here = multiply(forth, g), multiply(back, g)
        add, other = multiply(there, back), multiply(here, forth)
        return (surface + add, bulk + add + other, multiply(there, forth), multiply(here, back)), None

    start = (h, h, v, dagger(v))
    (surface, *_), _ = jax.lax.scan(double, start, None, length=steps)
    return inverse(z * one - surface)
