"""How accurate a kernel-polynomial field is, measured; and the solver that is as accurate as asked."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray

from jaxspin import renamed
from jaxspin.electrons import chebyshev, fermi
from jaxspin.electrons.base import AbstractElectrons
from jaxspin.electrons.kpm import LARGEST_ORDER, KernelPolynomial, default_colors
from jaxspin.electrons.probes import AbstractProbes, Coloring, ExactTrace
from jaxspin.field import Spins
from jaxspin.spins import takes_spins, tangent


@renamed.keyword("spread", "standard_deviation")
@dataclasses.dataclass(frozen=True)
class Accuracy:
    """How accurate the field of a `KernelPolynomial` is: what `measure_accuracy` and `tune` find.

    - `colours`, `vectors`, `moments`, `window`: the settings of the solver; two vectors a colour.
    - `standard_deviation`: of a site's field over sets of random phases, the error of the probes; `bias`: the error
      from the end of the Chebyshev series. Both are root mean squares over the sites.
    - `field`, `torque`: the rms length of the field, and of its part perpendicular to the spin.

    Energies in units of the hopping. Printed, it is one sentence.

    Example:
        >>> of_parts = dict(colours=8, vectors=16, moments=64, window=(-6.0, 6.0), field=0.8, torque=0.3)
        >>> round(js.electrons.Accuracy(**of_parts, standard_deviation=0.03, bias=0.04).error, 3)
        0.05
    """

    colours: int
    vectors: int
    moments: int
    window: tuple[float, float]
    field: float
    torque: float
    standard_deviation: float
    bias: float

    spread = renamed.attribute("Accuracy", "spread", "standard_deviation")

    @property
    def error(self) -> float:
        """Both together: sqrt(standard_deviation^2 + bias^2)."""
        return float(np.hypot(self.standard_deviation, self.bias))

    def __str__(self) -> str:
        return (
            f"{self.colours} colours ({self.vectors} vectors), {self.moments} moments, "
            f"window ({self.window[0]:.3g}, {self.window[1]:.3g}): rms error of the field {self.error:.2g} "
            f"({self.standard_deviation:.2g} from the probes, {self.bias:.2g} from the series), "
            f"field {self.field:.3g}, torque {self.torque:.3g}"
        )


@takes_spins(half=False)
def measure_accuracy(solver: KernelPolynomial, spins: Spins, *, key: PRNGKeyArray, draws: int = 4) -> Accuracy:
    """The error of `solver.field(spins, key=...)` on `spins` `(*cells, sublattices, 3)`, without a reference solution.

    `standard_deviation` is that of the field over `draws` sets of random phases. The mean over phases is exact,
    so this is the error of one draw. The bias is the change of the field when the series is made half as long again,
    with the same phases. Both in units of the hopping. The cost is that of `draws` + 1.5 fields.

    Raises `ValueError` for fewer than two draws. `tune` also looks for the settings.

    Example:
        >>> model = js.SDModel(lattice, coupling=2.0)
        >>> solver = js.KernelPolynomial(model, filling=0.25, temperature=0.5, probes=js.electrons.ExactTrace())
        >>> accuracy = js.electrons.measure_accuracy(solver, spins, key=jax.random.key(0), draws=2)
        >>> accuracy.colours, accuracy.standard_deviation, accuracy.bias < 0.01
        (16, 0.0, True)
    """
    if draws < 2:
        raise ValueError(f"a standard deviation needs at least two draws, got {draws}; 4 tells it to a quarter.")
    keys = jax.random.split(key, draws)
    fields = jnp.stack([_field(solver, spins, k) for k in keys])
    longer = solver.with_order(2 * round(0.75 * solver.order))
    change = _field(longer, spins, keys[0]) - fields[0]
    mean = jnp.mean(fields, axis=0)
    colours = int(solver.probes.colors(solver.model.orbital_lattice).max()) + 1
    deviation = jnp.sqrt(jnp.sum((fields - mean[None]) ** 2) / (draws - 1) / solver.lattice.sites)
    return Accuracy(
        colours=colours,
        vectors=2 * colours,
        moments=solver.order,
        window=(float(solver.window[0]), float(solver.window[1])),
        field=_rms(mean),
        torque=_rms(tangent(spins, mean)),
        standard_deviation=0.0 if isinstance(solver.probes, ExactTrace) else float(deviation),
        bias=_rms(change),
    )


@takes_spins(half=False)
def tune(
    model: AbstractElectrons,
    spins: Spins,
    *,
    tolerance: float,
    key: PRNGKeyArray,
    filling: ArrayLike | None = None,
    chemical_potential: ArrayLike | None = None,
    temperature: ArrayLike,
    probes: AbstractProbes | None = None,
    order: int | None = None,
    window: tuple[ArrayLike, ArrayLike] | str | None = None,
    draws: int = 4,
) -> tuple[KernelPolynomial, Accuracy]:
    """The cheapest solver whose field on `spins` has an rms error of at most `tolerance`, and its measured accuracy.

    It starts from the settings that `KernelPolynomial(tolerance=...)` takes without looking at spins. It then changes
    the number of colours by factors of two, and that of moments by half, until the error is just below the tolerance
    (in units of the hopping). Settings that are given (`probes`, `order`, `window`) stay.

    `window="tight"` takes the edges of the spectrum of these very spins, by `spectral_edges`, with a twentieth of the
    width to spare. That saves moments for a run that stays near these spins; further away the field turns NaN. Give
    spins like those of the run to come: a random configuration of a metal is the hardest.

    Raises `ValueError` for a tolerance that is not positive, where the given settings or single precision are not good
    enough for it (the message has the error they give), and where the field is not finite since the spectrum leaves the
    window. For a solver without looking at spins, give `KernelPolynomial` the tolerance.

    Example:
        >>> model = js.SDModel(lattice, coupling=2.0)
        >>> settings = {"filling": 0.25, "temperature": 0.5, "probes": js.electrons.ExactTrace()}
        >>> solver, accuracy = js.electrons.tune(model, spins, tolerance=0.05, key=jax.random.key(0), **settings)
        >>> accuracy.error < 0.05, solver.order == accuracy.moments
        (True, True)
    """
    if not tolerance > 0:
        raise ValueError(f"tolerance must be positive, got {tolerance}; 0.01 is usual.")
    state = {"filling": filling, "chemical_potential": chemical_potential, "temperature": temperature}
    if isinstance(window, str):
        if window != "tight":
            raise ValueError(f"window is 'tight', (lowest, highest) or None, got {window!r}; choose one.")
        low, high = spectral_edges(model, spins, key=key)
        safe, spare = model.spectral_bounds(), (high - low) / 20
        window = (jnp.maximum(low - spare, safe[0]), jnp.minimum(high + spare, safe[1]))

    sites = model.orbital_lattice.sites

    def build(count: int, moments: int | None) -> KernelPolynomial:
        exact = count >= sites
        vectors = (ExactTrace() if exact else Coloring(count)) if probes is None else probes
        return KernelPolynomial(model, **state, probes=vectors, order=moments, window=window, tolerance=tolerance)

    def measure(solver: KernelPolynomial) -> Accuracy:
        accuracy = measure_accuracy(solver, spins, key=key, draws=draws)
        if not np.isfinite(accuracy.error):
            raise ValueError(
                f"the field of these spins is not finite: their spectrum leaves the window {accuracy.window[0]:.3g} to "
                f"{accuracy.window[1]:.3g}; give a wider window, or None for bounds that hold for all spins."
            )
        return accuracy

    if model.strength is None:
        raise ValueError("a traced coupling cannot be measured; tune outside jit, at a typical value.")
    fewest = max(2, model.orbital_lattice.sublattices)
    colours = min(sites, default_colors(model, tolerance, model.strength))
    solver = build(colours, order)
    accuracy = measure(solver)
    while probes is None and accuracy.standard_deviation < tolerance / 4 and colours > fewest:
        colours = max(fewest, colours // 2)
        solver = build(colours, solver.order)
        accuracy = measure(solver)
    while accuracy.error > tolerance:
        if accuracy.bias > tolerance / 2 and order is None:
            longer = 2 * round(0.75 * solver.order)
            if longer > _most_moments(solver, spins.dtype):
                raise ValueError(
                    f"the series reaches {accuracy.bias:.2g} in {spins.dtype}, not {tolerance:.2g}: more than "
                    f"{solver.order} moments change nothing but rounding; use a tolerance above "
                    f"{3 * accuracy.bias:.1g}, or spins in double precision."
                )
            solver = solver.with_order(longer)
        elif probes is None and colours < sites:
            colours = min(2 * colours, sites)
            solver = build(colours, solver.order)
        else:
            raise ValueError(
                f"the given settings reach {accuracy.error:.2g}, not {tolerance:.2g} ({accuracy}); "
                "give more colours or moments, or leave them to be chosen."
            )
        accuracy = measure(solver)
    return solver, accuracy


def _most_moments(solver: KernelPolynomial, dtype) -> int:
    """Moments after which the terms of the series are smaller than rounding, twice over."""
    halfwidth = float(solver.scaling()[1])
    order = chebyshev.order_for(float(solver.temperature), halfwidth, float(jnp.finfo(dtype).eps))
    return min(2 * order, LARGEST_ORDER)


@takes_spins(half=False)
@eqx.filter_jit
def direct_field(solver: KernelPolynomial, spins: Spins, *, key: PRNGKeyArray | None = None) -> Spins:
    """B_i = -Re sum_r r^+ (dH/dS_i) f(H) r, J Re sum_r r_i^+ sigma (f(H) r)_i of `SDModel`: the field from the probed density matrix, with the solver's probes.

    Spins and field are `(*cells, sublattices, 3)`, the field in units of the hopping. It is there for comparison: use
    `solver.field`, the gradient of the probed energy. The direct field is the gradient of nothing, so energy is not
    conserved. In a metal its error is at least twice that of `solver.field` with the same vectors; in a gap, with many
    colours, it is the smaller one (`python -m experiments.checks.probing` measures both). It takes `solver.order`
    products with H, the gradient one and a half times as many.

    Raises `ValueError` for spins that do not fit the lattice.
    Source: Wang, Chern, Batista and Barros, J. Chem. Phys. 148, 094107 (2018), 10.1063/1.5017741.

    Example:
        >>> model = js.SDModel(lattice, coupling=2.0)
        >>> solver = js.KernelPolynomial(model, filling=0.25, temperature=0.5, probes=js.electrons.ExactTrace())
        >>> bool(jnp.allclose(js.electrons.direct_field(solver, spins), solver.field(spins), atol=0.01))
        True
    """
    dtype = spins.dtype
    mu, temperature = solver.fermi_level(spins, key=key), solver.temperature.astype(dtype)
    center, halfwidth = (x.astype(dtype) for x in solver.scaling())
    coefficients = chebyshev.coefficients(
        lambda e: fermi.occupation(e, mu, temperature), solver.order, center, halfwidth
    )
    start = solver.start(spins, key=key)
    product = chebyshev.expand(solver.rescaled(spins), start, coefficients)

    def probed(s):
        return -chebyshev.real_product(start, solver.model.hamiltonian(s)(product))

    return jax.grad(probed)(spins)


@takes_spins(half=False)
def spectral_edges(
    model: AbstractElectrons, spins: Spins, *, key: PRNGKeyArray, steps: int = 60
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """(lowest, highest) energy of H at these spins, in units of the hopping, from `steps` of the Lanczos recursion.

    The extreme Ritz values converge first. Each lies within its residual |beta_k y_k| of a level, by which the interval
    is widened. It misses the edge of the spectrum only where the random start vector has no part in the state there.
    `model.spectral_bounds()` is wider, and holds for all spins.

    Raises `ValueError` for spins that do not fit the lattice.
    Source: Zhou and Li, Linear Algebra Appl. 435, 480 (2011), 10.1016/j.laa.2010.06.034.

    Example:
        >>> low, high = js.electrons.spectral_edges(js.SDModel(lattice, coupling=2.0), spins, key=jax.random.key(0))
        >>> round(float(low), 2), round(float(high), 2)
        (-5.14, 5.14)
    """
    steps = min(steps, 2 * model.orbital_lattice.sites)
    return _edges(model, spins, key, steps)


@eqx.filter_jit
def _edges(model: AbstractElectrons, spins: Spins, key, steps: int):
    dtype = spins.dtype
    solver = KernelPolynomial(model, chemical_potential=0.0, temperature=1.0, order=16, probes=Coloring(1), window=(-1, 1))
    operator = model.hamiltonian(spins)
    start = solver.start(spins, key=key)
    # one column, both spins
    start = jax.tree.map(lambda x: jnp.sum(x, axis=-1, keepdims=True), start)

    def norm(v):
        return jnp.sqrt(chebyshev.real_product(v, v))

    def scaled(v, factor):
        return jax.tree.map(lambda x: x * factor.astype(x.dtype), v)

    first = scaled(start, 1 / norm(start))

    def step(carry, _):
        before, now, beta = carry
        w = operator(now)
        alpha = chebyshev.real_product(w, now)
        w = jax.tree.map(lambda x, n, b: x - alpha.astype(x.dtype) * n - beta.astype(x.dtype) * b, w, now, before)
        size = norm(w)
        return (now, scaled(w, 1 / jnp.maximum(size, jnp.finfo(dtype).tiny)), size), (alpha, size)

    carry = (jax.tree.map(jnp.zeros_like, first), first, jnp.zeros((), dtype))
    _, (alpha, beta) = jax.lax.scan(step, carry, None, length=steps)
    # where the vectors span an invariant subspace the recursion ends: later coefficients are rounding alone
    goes_on = (beta[:-1] > 1e-5 * jnp.max(beta)).astype(dtype)
    alive = jnp.cumprod(jnp.concatenate([jnp.ones(1, dtype), goes_on]))
    alpha = jnp.where(alive > 0, alpha, alpha[0])
    off = beta[:-1] * alive[1:]
    levels, states = jnp.linalg.eigh(jnp.diag(alpha) + jnp.diag(off, 1) + jnp.diag(off, -1))
    residual = jnp.abs(beta[-1] * states[-1] * alive[-1])
    return levels[0] - residual[0], levels[-1] + residual[-1]


@eqx.filter_jit
def _field(solver: KernelPolynomial, spins: Spins, key: PRNGKeyArray) -> Spins:
    return solver.field(spins, key=key)


def _rms(vectors: Array) -> float:
    sites = vectors.size // 3
    return float(jnp.sqrt(jnp.sum(vectors**2) / sites))
