"""All features of one neighbourhood as functions of its spins, and descents from random spins to given features."""

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from scipy.linalg import block_diag

import jaxspin as js
from jaxspin.descriptors import LocalMoments
from jaxspin.descriptors.neighborhood import Orbit
from jaxspin.spins import normalize, retract

VARIABLES = "bonds and chiralities"


@dataclasses.dataclass(frozen=True)
class Case:
    """A neighbourhood, as in `Bispectrum`."""

    lattice: str
    """square, triangular, ..."""
    radius: float
    """Reach of the bonds to the centre."""
    bond_radius: float
    """Reach of the other bonds and of the chiralities; 0 leaves the bonds to the centre alone."""

    def __post_init__(self):
        if self.lattice not in ("square", "triangular", "honeycomb", "kagome", "chain", "cubic"):
            raise ValueError(f"there is no lattice {self.lattice!r}; choose square, triangular, honeycomb, ...")

    def __str__(self):
        return f"{self.lattice}, radius {self.radius:g}, others {self.bond_radius:g}"


class Surroundings:
    """Bonds, chiralities and all features of one neighbourhood as functions of its n spins, the centre first.

    `sets` maps a name to the mask of its features; `VARIABLES` are the bonds and chiralities themselves.
    """

    def __init__(self, case: Case, hops: Sequence[int], moments: int, coupling: float):
        """With clusters of `LocalMoments` of each of the `hops`, whose electrons have this coupling and t = 1."""
        make = getattr(js, case.lattice)
        self.polynomials = js.Bispectrum(make(9), case.radius, case.bond_radius, bispectrum=True)
        self.around = self.polynomials.neighborhood
        self.spins = len(self.around.vectors)
        self.lattice = make(*self.around.smallest_cells(), periodic=False)
        offsets = np.array([offset for offset, _ in self.around.sites[0]])
        self.places = (*(offsets - offsets.min(axis=0)).T, np.array([s for _, s in self.around.sites[0]]))
        self.moments = [LocalMoments(self.lattice, coupling, hops=h, moments=moments, surroundings=0) for h in hops]
        number = sum(len(orbit.members) for orbit in (*self.around.bonds, *self.around.triangles))
        kinds = [x.split()[-1].rstrip("0123456789") for x in self.polynomials.labels]
        kinds = np.array([VARIABLES] * number + [x if x in ("phase", "bispectrum") else "power" for x in kinds])
        clusters = {f"moments, {h} hops": m.n_features for h, m in zip(hops, self.moments, strict=True)}
        kinds = np.concatenate([kinds, np.repeat(list(clusters), list(clusters.values()))])
        parts = {VARIABLES: (VARIABLES,), "power": ("power",), "+ phases": ("power", "phase")}
        parts |= {"+ bispectrum": ("power", "phase", "bispectrum"), **{name: (name,) for name in clusters}}
        self.sets = {name: np.isin(kinds, some) for name, some in parts.items()}
        self.values_and_slopes = jax.jit(jax.vmap(self._value_and_slope))

    def draw(self, key, count: int) -> Array:
        """Independent random neighbourhoods `(count, n, 3)`."""
        return normalize(jax.random.normal(key, (count, self.spins, 3)))

    def values(self, spins: Array) -> Array:
        """Everything in `sets`, one after another, at spins `(n, 3)`."""
        j, k = (spins[numbers] for numbers in _members(self.around.bonds, 2))
        bonds = jnp.sum(j * k, axis=-1)
        j, k, l = (spins[numbers] for numbers in _members(self.around.triangles, 3))
        variables = jnp.concatenate([bonds, jnp.sum(j * jnp.cross(k, l), axis=-1)])
        polynomials = self.polynomials.of_variables(variables[:, None])[:, 0]
        alone = jnp.zeros((*self.lattice.shape, 3)).at[self.places].set(spins)
        center = tuple(int(p[0]) for p in self.places)
        return jnp.concatenate([variables, polynomials, *(moments(alone)[center] for moments in self.moments)])

    def _value_and_slope(self, spins: Array) -> tuple[Array, Array]:
        """The values, and their derivatives with respect to rotation vectors of the spins `(values, n, 3)`."""

        def moved(w):
            values = self.values(retract(spins, w))
            return values, values

        slope, values = jax.jacfwd(moved, has_aux=True)(jnp.zeros_like(spins))
        return values, slope

    def images(self) -> np.ndarray:
        """What the point group and time reversal do to the variables, `(2 order, variables, variables)`."""
        bonds, triangles = self.around.bonds, self.around.triangles
        orbits = [x.representation for x in (*bonds, *triangles)]
        turns = np.array([block_diag(*parts) for parts in zip(*orbits, strict=True)])
        odd = np.repeat([1.0, -1.0], [sum(len(x.members) for x in kind) for kind in (bonds, triangles)])
        return np.concatenate([turns, odd[:, None] * turns])

    def apart(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """rms difference of the variables `(pairs, variables)`, the least over all symmetries."""
        moved = np.einsum("gvw,pw->pgv", self.images(), first)
        return np.sqrt(np.mean((moved - second[:, None]) ** 2, axis=-1)).min(axis=1)


def _members(orbits: tuple[Orbit, ...], corners: int) -> np.ndarray:
    """The sites of all bonds or triangles, `(corners, number)`."""
    return np.array([member for orbit in orbits for member in orbit.members], int).reshape(-1, corners).T


def nearest(
    around: Surroundings, goals: np.ndarray, spins: Array, weights: np.ndarray, steps: int
) -> tuple[Array, np.ndarray]:
    """Levenberg-Marquardt descents of sum (weight (value - goal))^2 over the spins, from `spins` `(tries, n, 3)`.

    A step turns the spins by w with (J^T J + damping) w = -J^T r; it is taken back, and the damping raised, where it
    does not lower the sum. Returns the spins reached and all their values.
    """
    values, slopes = (np.asarray(x) for x in around.values_and_slopes(spins))
    damping = np.ones(len(goals))
    for _ in range(steps):
        rest = weights * (values - goals)
        matrix = (weights[:, None, None] * slopes).reshape(*values.shape, -1)
        normal = np.einsum("pvi,pvj->pij", matrix, matrix) + damping[:, None, None] * np.eye(matrix.shape[-1])
        turn = -np.linalg.solve(normal, np.einsum("pvi,pv->pi", matrix, rest)[..., None])
        trial = normalize(retract(spins, jnp.asarray(turn).reshape(spins.shape)))
        found, changed = (np.asarray(x) for x in around.values_and_slopes(trial))
        better = np.sum((weights * (found - goals)) ** 2, axis=1) < np.sum(rest**2, axis=1)
        spins = jnp.where(better[:, None, None], trial, spins)
        values = np.where(better[:, None], found, values)
        slopes = np.where(better[:, None, None, None], changed, slopes)
        damping = np.clip(damping * np.where(better, 0.2, 5.0), 1e-10, 1e6)
    return spins, values
