"""Electrons in a channel between leads, with a current through it: nonequilibrium Green's functions."""

from collections.abc import Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, Complex, Float, PRNGKeyArray

from jaxspin.arguments import told
from jaxspin.couplings import holds, optional, scalar
from jaxspin.electrons.base import AbstractElectrons
from jaxspin.electrons.model import SDModel, only_sd
from jaxspin.electrons.negf.channel import AbstractChannel, open_axis
from jaxspin.electrons.negf.crystals import Crystal, MagneticCrystal
from jaxspin.electrons.negf.leads import AbstractTerminal, check_temperature, contact
from jaxspin.electrons.orbitals import OrbitalModel
from jaxspin.field import Spins, Time
from jaxspin.lattice import Lattice
from jaxspin.spins import check_finite, check_spins


class GreensFunction(AbstractChannel):
    """The electrons of `model` between `leads` at different chemical potentials: a field without an energy.

    G^r(w) = [w - H - Sigma^r(w)]^-1, rho = int dw/(2 pi) sum_a f_a(w) G^r Gamma_a G^a, B_i = -Tr rho dH/dS_i, which is
    J tr(sigma rho_ii) of an `SDModel`. Of an `OrbitalModel` an orbital takes the place of a site in all that is said of
    sites here. Spins and field are `(*cells, sublattices, 3)`, energies in units of the hopping, currents electrons per
    hbar/t.

    Two parts add up to rho. With all states filled like the reference, bound states included, it comes from complex
    frequencies (`negf.poles`). What the leads fill differently, (f_a - f_ref) G^r Gamma_a G^a, is integrated over the
    window of the bias (`negf.quadrature`). Cost: linear in the length of the open axis, cubic in the width of a slice.

    **Arguments**

    - `leads`: `WideBand`, `Crystal`, `MagneticCrystal` and `ModelCrystal` terminals, or an `AbstractLead` of your own,
      any number. Two at the sites "left" and "right" make a channel. `Crystal` and `MagneticCrystal` have one orbital a
      site, for an `SDModel`; `ModelCrystal` goes on as the model does.
    - `voltage`: V, the lead at the left end has mu + V/2, the one at the right end mu - V/2, those elsewhere mu. A
      lead's own `mu` comes before this. A voltage fills states; it moves no level, except a rigid crystal's band.
    - `mu`, `temperature`: of leads and bath that have none of their own. Temperatures are positive.
    - `bath`: Gamma of a reservoir in the wide-band limit on every site; makes all levels broad. 0 for none. With its
      own `bath_mu` and `bath_temperature`.
    - `tolerance`: absolute, of each number in rho (of each current). In single precision at least 200 roundings.
    - `axis`: the open axis along which the leads sit; None takes the first open one.
    - `method`: "recursive", slice after slice, or "dense", the whole device as one slice.
    - `poles`: complex frequencies; None takes as many as the tolerance needs.
    - `max_panels`: where the integral over the window gives up (15 energies each); `batch`: how many at once.

    The reference is the bath, or without one (mu, temperature): bound states outside the leads' bands are filled so.
    Derivatives of any kind in spins and parameters are those of the sum at the energies that the integral took.

    Raises `ValueError` for leads that fit no end, site or model, no lead at all, or numbers out of range, `TypeError`
    for a name in place of a lead, and `RuntimeError` where the integral misses the tolerance; inside `jit`, where
    nothing can be raised, all results are NaN then. Without a voltage `ExactDiagonalization` and `KernelPolynomial` are
    faster and have an energy.

    Example:
        >>> model, leads = js.SDModel(js.chain(6, periodic=False)), (js.WideBand("left"), js.WideBand("right"))
        >>> solver = js.GreensFunction(model, leads=leads, voltage=0.5, temperature=0.1)
        >>> up = js.textures.ferromagnet(model.lattice)
        >>> solver.field(up).shape, round(float(solver.current(up)), 2)
        ((6, 1, 3), 0.11)
    """

    parallel_part_is_fixed: ClassVar[bool] = False
    half_precision: ClassVar[bool] = False

    model: SDModel | OrbitalModel
    leads: tuple[AbstractTerminal, ...]
    voltage: Float[Array, ""]
    mu: Float[Array, ""]
    temperature: Float[Array, ""]
    bath: Float[Array, ""]
    bath_mu: Float[Array, ""] | None
    bath_temperature: Float[Array, ""] | None
    corners: Float[Array, " corners"]
    tolerance: float = eqx.field(static=True)
    axis: int | None = eqx.field(static=True)
    method: str = eqx.field(static=True)
    poles: int = eqx.field(static=True)
    max_panels: int = eqx.field(static=True)
    batch: int = eqx.field(static=True)

    def __init__(
        self,
        model: AbstractElectrons,
        *,
        leads: Sequence[AbstractTerminal],
        voltage: ArrayLike = 0.0,
        mu: ArrayLike = 0.0,
        temperature: ArrayLike,
        bath: ArrayLike = 0.0,
        bath_mu: ArrayLike | None = None,
        bath_temperature: ArrayLike | None = None,
        tolerance: float = 1e-6,
        axis: int | None = None,
        method: str = "recursive",
        poles: int | None = None,
        max_panels: int = 512,
        batch: int = 4,
    ):
        self.voltage, self.mu, self.bath = (
            scalar(value, name) for name, value in (("voltage", voltage), ("mu", mu), ("bath", bath))
        )
        if not holds(lambda rate: rate >= 0, self.bath):
            raise ValueError(f"bath must be zero or a positive rate, got {bath}; 0.01 broadens levels gently.")
        if not 0 < tolerance < 1:
            raise ValueError(f"tolerance must lie between 0 and 1, got {tolerance}; 1e-6 is the default.")
        if method not in ("recursive", "dense"):
            raise ValueError(f"there is no method {method!r}; choose 'recursive' or 'dense'.")
        if batch < 2 or batch % 2 or max_panels < batch:
            raise ValueError(f"batch must be even, at least 2, and max_panels no less; got {batch} and {max_panels}.")
        self.model = model if isinstance(model, OrbitalModel) else only_sd(model, "Green's functions")
        self.leads = tuple(leads)
        for lead in self.leads:
            if not isinstance(lead, AbstractTerminal):
                raise TypeError(f"leads holds {told(lead)}, which is no lead; give js.WideBand({_side(lead)}).")
        names = [lead.name for lead in self.leads]
        if not names or len(set(names)) < len(names) or "bath" in names:
            raise ValueError(f"leads need names of their own, and not 'bath', got {names}; give each another.")
        plain = [lead.name for lead in self.leads if isinstance(lead, Crystal | MagneticCrystal)]
        if plain and isinstance(model, OrbitalModel):
            raise ValueError(
                f"leads {plain} have one orbital a site; take ModelCrystal(model, name, spins) for OrbitalModel."
            )
        self.temperature = check_temperature(temperature, "the solver")
        self.bath_mu = optional(bath_mu, "bath_mu")
        self.bath_temperature = None if bath_temperature is None else check_temperature(bath_temperature, "the bath")
        self.axis = open_axis(model.lattice, axis)
        self.tolerance, self.method = float(tolerance), method
        self.max_panels, self.batch = max_panels, batch
        for lead in self.leads:
            contact(lead, self._cut(), self.axis)
        self.corners = self._find_corners()
        self.poles = self._enough_poles() if poles is None else int(poles)

    # --- what is measured -------------------------------------------------------------------------------------

    @property
    def terminals(self) -> tuple[str, ...]:
        """The names of the leads, and "bath" last, which may be idle."""
        return (*(lead.name for lead in self.leads), "bath")

    def on(self, lattice: Lattice) -> "GreensFunction":
        """The same electrons, leads and voltage on another size of the channel.

        Raises `ValueError` for a model that varies from site to site, and for leads whose sites are a mask.
        """
        masks = [lead.name for lead in self.leads if not isinstance(lead.sites, str)]
        if masks:
            raise ValueError(
                f"leads {masks} sit on a mask of sites; build a new GreensFunction with masks of the size."
            )
        same = ("leads", "voltage", "mu", "temperature", "bath", "bath_mu", "bath_temperature", "tolerance", "axis")
        settings = {name: getattr(self, name) for name in (*same, "method", "poles", "max_panels", "batch")}
        return GreensFunction(self.model.on(lattice), **settings)

    def field(self, spins: Spins, t: Time = 0.0, *, key: PRNGKeyArray | None = None) -> Spins:
        """B_i = -Tr rho dH/dS_i, J <sigma_i> of an `SDModel`."""
        if isinstance(self.model, OrbitalModel):
            check_spins(self.lattice, spins)
            check_finite(spins)
            return self._checked(spins, *self._pushed(spins))
        return self.model.coupled_spins(jnp.ones_like(spins)) * self.spin_density(spins)

    def density(self, spins: Spins) -> Float[Array, "*cells orbitals"]:
        """n_i = sum_s <c+_is c_is>, between 0 and 2; `observables.electron_density` is the same."""
        return self._onsite(spins)[..., 0]

    def spin_density(self, spins: Spins) -> Float[Array, "*cells orbitals 3"]:
        """<sigma_i> of each site or orbital."""
        return self._onsite(spins)[..., 1:]

    def bond_currents(self, spins: Spins) -> Float[Array, "*cells hoppings"] | Float[Array, "*cells vectors n n"]:
        """I = 2 Im(t <c+_i M c_j>), from i = (R, start) to j = (R + offset, end): `observables.bond_currents`.

        Those of an `OrbitalModel` take the whole density matrix: for small devices.
        """
        check_spins(self.lattice, spins)
        check_finite(spins)
        return self._checked(spins, *self._through_bonds(spins))

    def bond_spin_currents(self, spins: Spins) -> Float[Array, "*cells hoppings 3"]:
        """The current of sigma through each bond, Im(t <c+_i (sigma M + M sigma) c_j>) from i to j, per hbar/t.

        Along x, y, z of spin space. What more leaves a site than enters is 2 B x S there, minus the torque on its spin
        times two (plain hoppings, no bath): so the current in the bonds before a lead is twice the torque on the lead.
        """
        check_spins(self.lattice, spins)
        check_finite(spins)
        return self._checked(spins, *self._spins_through_bonds(spins))

    def currents(self, spins: Spins) -> Float[Array, " terminals"]:
        """Electrons per hbar/t that leave each of `terminals` for the device; they add up to zero.

        I_a = int dw/(2 pi) sum_b (f_a - f_b) T_ab, T_ab = Tr[Gamma_a G^r Gamma_b G^a], b all leads and the bath.
        """
        check_spins(self.lattice, spins)
        check_finite(spins)
        out = self._checked(spins, *self._out_of_leads(spins))
        return jnp.concatenate([out, -jnp.sum(out)[None]])

    def current(self, spins: Spins, lead: str | None = None) -> Float[Array, ""]:
        """The current out of one terminal, the first lead if None: out of "left", positive from left to right."""
        return self.currents(spins)[0 if lead is None else self._number(lead, self.terminals)]

    def transmission(
        self, spins: Spins, energies: Float[Array, " n"], source: str | None = None, drain: str | None = None
    ) -> Float[Array, " n"]:
        """T(E) = Tr[Gamma_a G^r Gamma_b G^a], both spins, between two leads: the first and the last if None."""
        count = len(self.leads)
        a = 0 if source is None else self._number(source, self.terminals[:-1])
        b = count - 1 if drain is None else self._number(drain, self.terminals[:-1])
        if a == b:
            raise ValueError("a transmission needs two different leads; give source= and drain=.")
        check_spins(self.lattice, spins)
        check_finite(spins)
        return self._between(spins, energies)[:, a, b]

    def local_density_of_states(self, spins: Spins, energies: Float[Array, " n"]) -> Float[Array, "*cells orbitals n"]:
        """rho_i(E) = -Im tr G^r_ii(E)/pi, both spins, per unit of energy. Infinite at a bound state: give a bath."""
        check_spins(self.lattice, spins)
        check_finite(spins)
        return self._local(spins, energies)

    def greens_function(self, spins: Spins, energy: ArrayLike) -> Complex[Array, "n n"]:
        """G^r(E) as a matrix `(2N, 2N)`, orbitals in the C order of `(*cells, orbitals, 2)`. For small devices."""
        check_spins(self.lattice, spins)
        return self._retarded(spins, jnp.asarray(energy, spins.dtype))

    def density_matrix(self, spins: Spins) -> Complex[Array, "n n"]:
        """rho, rho_ij = <c+_j c_i>, as that of `ExactDiagonalization`, vacancies included. For small devices."""
        check_spins(self.lattice, spins)
        check_finite(spins)
        return self._checked(spins, *self._matrix(spins))

    def window_error(self, spins: Spins) -> Float[Array, ""]:
        """The estimated error of the integral over the bias window, in the worst entry of rho on a site."""
        return self._on_sites(spins)[1]

    def energies_used(self, spins: Spins) -> int:
        """How many energies one field takes: the poles, and 15 for each panel tried on the way to the last ones."""
        check_spins(self.lattice, spins)
        first = len(self.leads) + 2 + len(self.corners)
        tried = -(-first // self.batch) * self.batch + 2 * (int(self._panels(spins)) - first)
        return self.poles + 15 * tried

    # --- how --------------------------------------------------------------------------------------------------

    def _onsite(self, spins: Spins) -> Array:
        check_spins(self.lattice, spins)
        check_finite(spins)
        return self._checked(spins, *self._on_sites(spins))

    def _checked(self, spins: Spins, value: Any, error: Array) -> Any:
        allowed = max(self.tolerance, 200 * float(jnp.finfo(spins.dtype).eps))
        if not isinstance(error, Tracer) and not float(error) <= allowed:
            raise RuntimeError(
                f"the integral over the bias window has an error of {float(error):.1e} after {self.max_panels} panels, "
                f"tolerance {allowed:.1e}; raise max_panels, tolerance, or bath, which broadens the levels."
            )
        return value

    def _number(self, name: str, names: tuple[str, ...]) -> int:
        if name not in names:
            raise ValueError(f"there is no lead {name!r}; choose one of {', '.join(names)}.")
        return names.index(name)


def _side(given: Any) -> str:
    return repr(given) if isinstance(given, str) else repr("left")
