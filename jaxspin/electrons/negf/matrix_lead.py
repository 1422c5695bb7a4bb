"""A lead whose self-energy is given as numbers, such as another program has it."""

from collections.abc import Callable, Sequence

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Complex, Float

from jaxspin.couplings import optional
from jaxspin.electrons.negf.leads import AbstractLead, Extent, SelfEnergy, check_temperature
from jaxspin.lattice import Lattice

# Part of the largest entry below which a negative rate is rounding.
_ROUNDING = 1e-5


class MatrixLead(AbstractLead):
    """A lead with the self-energy Sigma^r that you give, on the sites that you name.

    **Arguments**

    - `name`: of the terminal, any but "bath".
    - `self_energy`: Sigma^r `(m, m)`, the same for both spins, or `(2m, 2m)` with orbitals (site, spin) in C order; or
      a function of the complex energy that gives one. A matrix is a wide band: the same at all energies. A function
      must be written in `jax.numpy`, and hold for Im z >= 0, where the part at equilibrium is evaluated.
    - `sites`: the m sites, numbers in C order of `(*cells, sublattices)`, ascending.
    - `mu`, `temperature`: its own, or those of the solver where they are None.

    Give `GreensFunction` method="dense", unless the sites lie in one slice. In units of the hopping.

    Raises `ValueError` for sites that are not ascending numbers, a matrix of another size, and one that would create
    electrons: Gamma = i (Sigma - Sigma+) must have no negative eigenvalue.

    Example:
        >>> model = js.electrons.model_of_matrix(-np.eye(5, k=1) - np.eye(5, k=-1))
        >>> leads = [js.electrons.MatrixLead(name, [[-1j]], [site]) for name, site in (("tip", 0), ("ground", 4))]
        >>> device = js.GreensFunction(model, leads=leads, temperature=0.1, method="dense")
        >>> round(float(device.transmission(js.textures.ferromagnet(model.lattice), jnp.zeros(1))[0]), 3)
        2.0
    """

    matrix: Complex[Array, "n n"] | None
    function: Callable[[Array], Array] | None = eqx.field(static=True)
    name: str = eqx.field(static=True)
    sites: str | tuple[int, ...] = eqx.field(static=True)
    mu: Float[Array, ""] | None
    temperature: Float[Array, ""] | None

    def __init__(
        self,
        name: str,
        self_energy: ArrayLike | Sequence | Callable[[Array], Array],
        sites: Sequence[int] | np.ndarray,
        *,
        mu: ArrayLike | None = None,
        temperature: ArrayLike | None = None,
    ):
        self.name = name
        numbers = np.asarray(sites)
        if numbers.ndim != 1 or not np.issubdtype(numbers.dtype, np.integer) or np.any(np.diff(numbers) <= 0):
            raise ValueError(f"sites of lead {name!r} must be ascending site numbers, got {sites}; give [0, 1], say.")
        self.sites = tuple(int(n) for n in numbers)
        self.mu = optional(mu, "mu")
        self.temperature = None if temperature is None else check_temperature(temperature, f"lead {name!r}")
        self.function = self_energy if callable(self_energy) else None
        self.matrix = None
        if not callable(self_energy):
            given = np.asarray(self_energy, complex)
            m = len(self.sites)
            if given.shape not in ((m, m), (2 * m, 2 * m)):
                raise ValueError(
                    f"self_energy of lead {name!r} has shape {given.shape} on {m} sites; give ({m}, {m}), or "
                    f"({2 * m}, {2 * m}) with spin."
                )
            rates = np.linalg.eigvalsh(1j * (given - given.conj().T))
            if not np.min(rates) >= -_ROUNDING * max(np.abs(given).max(), 1e-30):
                raise ValueError(
                    f"self_energy of lead {name!r} has the rate {np.min(rates):.2g}, which creates electrons; give the "
                    "retarded one, such as -0.5j * Gamma."
                )
            self.matrix = jnp.asarray(given, jnp.result_type(complex))

    def self_energy(self, energy: Complex[Array, ""]) -> SelfEnergy:
        if self.function is not None:
            found = jnp.asarray(self.function(energy), energy.dtype)
        else:
            assert self.matrix is not None
            found = self.matrix.astype(energy.dtype)
        both = found.shape[-1] == len(self.sites)
        return jnp.kron(found, jnp.eye(2, dtype=energy.dtype)) if both else found

    def extent(self, lattice: Lattice) -> Extent:
        sigma = self.self_energy(jnp.asarray(1j, jnp.result_type(complex)))
        largest = jnp.max(jnp.sum(jnp.abs(sigma), axis=-1)).astype(jnp.result_type(float))
        return Extent(jnp.zeros_like(largest), largest, 2 * largest)

    def check(self, lattice: Lattice, axis: int | None) -> None:
        numbers = [n for n in self.sites if isinstance(n, int)]
        if numbers and not 0 <= numbers[0] <= numbers[-1] < lattice.sites:
            raise ValueError(
                f"lead {self.name!r} sits on {numbers}, the device has sites 0 to {lattice.sites - 1}; give some."
            )
