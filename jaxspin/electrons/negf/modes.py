"""The field of a channel between leads in the wide-band limit from the modes of its effective Hamiltonian."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, PRNGKeyArray

from jaxspin.arrays.precision import einsum, matmul
from jaxspin.electrons.model import only_sd
from jaxspin.electrons.negf.leads import WideBand
from jaxspin.electrons.negf.solver import GreensFunction
from jaxspin.field import AbstractField, Spins, Time
from jaxspin.lattice import Lattice

# The recurrence of the digamma function moves its argument so far that seven terms of the series are exact to rounding.
_MOVED = 10
_SERIES = (1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760, 1 / 12)


class WideBandModes(AbstractField):
    """The same field as a `GreensFunction` of wide-band leads, without a grid of energies: exact, for small channels.

    Losses Gamma/2 that do not depend on the energy make H - i Gamma/2 = R diag(l) L one matrix, diagonalized once.
    With C_a = L Gamma_a L+ and psi the digamma function, terminal a with (mu, T) fills

        rho_a = R [C_a,mn I_a(l_m, l_n*)] R+,  I(l, z) = int dw/(2 pi) f(w)/((w - l)(w - z))
              = [psi(1/2 - i (l* - mu)/(2 pi T))* - psi(1/2 - i (z - mu)/(2 pi T)) - i pi] / (2 pi (l - z)).

    Cubic in the number of sites: 40 times faster than the recursion at 20 x 4, slower beyond some 300 sites. Every
    site needs a bath, or a level could stay sharp. The diagonalization runs on a CPU, in double precision where JAX has
    it on. Units, spins `(*cells, sublattices, 3)` and the field are those of the `GreensFunction`.

    Raises `ValueError` for leads with a band (`Crystal`) and without a bath; use the `GreensFunction` itself there.

    Source of the digamma function: Abramowitz and Stegun, Handbook of Mathematical Functions, 6.3.5 and 6.3.18; I(l, z)
    is the sum of its residues at the poles of the Fermi function.

    Example:
        >>> model, leads = js.SDModel(js.chain(6, periodic=False)), (js.WideBand("left"), js.WideBand("right"))
        >>> solver = js.GreensFunction(model, leads=leads, voltage=0.5, temperature=0.1, bath=0.02)
        >>> js.electrons.WideBandModes(solver).field(js.textures.ferromagnet(model.lattice)).shape
        (6, 1, 3)
    """

    parallel_part_is_fixed: ClassVar[bool] = False

    solver: GreensFunction

    def __init__(self, solver: GreensFunction):
        only_sd(solver.model, "modes")
        if not all(isinstance(lead, WideBand) for lead in solver.leads) or not float(solver.bath) > 0:
            raise ValueError("modes need wide-band leads and a positive bath; take the GreensFunction itself.")
        self.solver = solver

    @property
    def lattice(self) -> Lattice:
        return self.solver.lattice

    def field(self, spins: Spins, t: Time = 0.0, *, key: PRNGKeyArray | None = None) -> Spins:
        """B_i = J <sigma_i>."""
        model = only_sd(self.solver.model, "modes")
        return model.coupled_spins(jnp.ones_like(spins)) * self.solved(spins)[1]

    def solved(self, spins: Spins) -> tuple[Array, Spins, Float[Array, " terminals"]]:
        """The density n_i `(*cells, sublattices)`, <sigma_i> and the current out of each terminal, the bath last."""
        gammas = self._losses()
        levels, right = jnp.linalg.eig(self._effective(spins, gammas))
        left = jnp.linalg.inv(right)
        mu, temperature = (x.astype(levels.dtype) for x in self.solver.reservoirs())
        doubled = jnp.repeat(gammas, 2, axis=1).astype(levels.dtype)
        each = jnp.stack([matmul(left * gamma[None], jnp.conj(left.T)) for gamma in doubled])
        weight = jax.vmap(_between, in_axes=(None, 0, 0))(levels, mu, temperature)
        sites = right.reshape(-1, 2, len(levels))

        def orbitals(table):
            return matmul(right, table).reshape(sites.shape)

        rho = einsum("iam,ibm->iab", orbitals(jnp.sum(each * weight, axis=0)), jnp.conj(sites))
        density = jnp.real(rho[:, 0, 0] + rho[:, 1, 1])
        # the density if all terminals had the mu and T of terminal a: what it offers
        offered = [
            jnp.real(jnp.sum(orbitals(jnp.sum(each, axis=0) * w) * jnp.conj(sites), axis=(1, 2))) for w in weight
        ]
        currents = jnp.sum(gammas * (jnp.stack(offered) - density[None]), axis=1)
        sigma = [2 * jnp.real(rho[:, 0, 1]), -2 * jnp.imag(rho[:, 0, 1]), jnp.real(rho[:, 0, 0] - rho[:, 1, 1])]
        spin = jnp.stack(sigma, axis=-1).reshape(spins.shape).astype(spins.dtype)
        return density.reshape(spins.shape[:-1]).astype(spins.dtype), spin, currents.astype(spins.dtype)

    def _losses(self) -> Float[Array, "terminals sites"]:
        """Gamma of each lead, then the bath's, on every site."""
        cells = np.arange(self.lattice.sites).reshape(self.lattice.shape)
        rows = []
        for lead in self.solver.leads:
            if isinstance(lead.sites, str):
                end = np.moveaxis(cells, self.solver.axis or 0, 0)[0 if lead.sites == "left" else -1]
                sites = end.reshape(-1)
            else:
                sites = np.array(lead.sites)
            assert isinstance(lead, WideBand)
            rows.append(
                jnp.zeros(cells.size, jnp.result_type(float))
                .at[sites]
                .set(lead.coupling.astype(jnp.result_type(float)))
            )
        return jnp.stack([*rows, jnp.full(cells.size, self.solver.bath.astype(jnp.result_type(float)))])

    def _effective(self, spins: Spins, gammas: Array) -> Complex[Array, "n n"]:
        """H - i Gamma/2."""
        losses = jnp.repeat(jnp.sum(gammas, axis=0), 2).astype(jnp.result_type(complex))
        return self.solver.model.dense(spins.astype(jnp.result_type(float))) - 0.5j * jnp.diag(losses)


def _between(levels: Complex[Array, " n"], mu: Array, temperature: Array) -> Complex[Array, "n n"]:
    """I(l_m, l_n*)."""
    psi = digamma(0.5 - 1j * (jnp.conj(levels) - mu) / (2 * np.pi * temperature))
    above = jnp.conj(psi)[:, None] - psi[None] - 1j * np.pi
    return above / (2 * np.pi * (levels[:, None] - jnp.conj(levels)[None]))


@eqx.filter_jit
def digamma(z: Complex[Array, " n"]) -> Complex[Array, " n"]:
    """psi(z) for Re z > 0 (Abramowitz and Stegun 6.3.5 and 6.3.18)."""
    steps = jnp.arange(_MOVED, dtype=z.real.dtype).astype(z.dtype)
    total = jnp.sum(1 / (z[None] + steps[:, None]), axis=0)
    z = z + _MOVED
    inverse = 1 / (z * z)
    series = jnp.zeros_like(z)
    for factor in reversed(_SERIES):
        series = inverse * (factor + series)
    return jnp.log(z) - 0.5 / z - series - total
