"""The integrators: orders of convergence, lengths and energies, and what the implicit ones promise."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.checks.diffusion import diffusion_errors
from experiments.checks.integrators import slope
from experiments.stages.schemes import EXPLICIT, IMPLICIT, SOLVERS, STOCHASTIC, name_of
from jaxspin.arrays.vectors import add, cross, dot, normalize, scale, subtract, where
from jaxspin.classical import Anisotropy, Exchange, Zeeman
from jaxspin.dynamics import (
    LLG,
    Clock,
    Constant,
    DepondtMertens,
    ImplicitMidpoint,
    ProjectedTsit5,
    SemiImplicit,
    SphericalMidpoint,
    StepNoise,
    simulate,
)
from jaxspin.field import AbstractField, AbstractPotential
from jaxspin.lattice import chain, kagome, square
from jaxspin.problems import DampedLarmor, SpinWave
from jaxspin.spins import dilute, random_spins, retract, tangent
from tests.helpers import RUN_ROUNDING, distance, length_error

KEEP_LENGTH = [DepondtMertens(), SemiImplicit(), *IMPLICIT]
# an explicit rule and an implicit one by default
BOTH_KINDS = [
    s if s in (DepondtMertens(), SphericalMidpoint()) else pytest.param(s, marks=pytest.mark.slow) for s in STOCHASTIC
]


def order_of(solver, problem, numbers):
    """The slope of the error at t = 1 against the numbers of steps."""

    def error(n):
        run = simulate(
            problem.potential,
            problem.spins(),
            duration=1.0,
            step=1 / n,
            damping=problem.damping,
            solver=solver,
            save_every=1.0,
        )
        return distance(run.final, problem.spins(1.0))

    return slope(numbers, [error(n) for n in numbers])


@pytest.mark.parametrize("solver", BOTH_KINDS, ids=name_of)
def test_order_is_two(solver):
    problem = DampedLarmor(strength=1.0, damping=0.5, height=0.2)
    assert order_of(solver, problem, (260, 350, 512)) == pytest.approx(solver.order(None), abs=0.15)


def test_order_of_the_projected_runge_kutta_pair():
    problem, solver = DampedLarmor(strength=4.0, damping=0.5, height=0.2), ProjectedTsit5()
    found = order_of(solver, problem, (30, 42, 60))
    # the projection gains a little: an error along the spin is removed
    assert solver.order(None) - 0.15 < found < solver.order(None) + 1


@pytest.mark.parametrize("solver", STOCHASTIC, ids=name_of)
def test_spin_wave_energy_and_length(solver):
    """An exact solution of interacting spins; the order is seen in the phase, the energy is conserved to
    it.
    """
    wave = SpinWave(sites=12, mode=2, amplitude=0.5, coupling=1.0)
    potential = wave.potential + Anisotropy(0.0)
    numbers = (300, 500)

    def runs(spins):
        return [
            simulate(potential, spins, duration=10.0, step=10 / n, damping=0.0, solver=solver, save_every=0.5)
            for n in numbers
        ]

    def order(errors):
        return np.log(errors[0] / errors[1]) / np.log(numbers[1] / numbers[0])

    waves = runs(wave.spins())
    errors = [distance(run.final, wave.spins(10.0)) for run in waves]
    assert errors[1] < 1e-3
    assert order(errors) == pytest.approx(2, abs=0.15)
    if solver in KEEP_LENGTH:
        assert length_error(waves[1].final) < RUN_ROUNDING

    disturbed = retract(wave.spins(), 0.3 * jax.random.normal(jax.random.key(1), wave.spins().shape))
    start = potential.energy(disturbed)
    drifts = [abs(float(run.energy(potential)[-1] - start)) for run in runs(disturbed)]
    # of 12 in energy, in 500 steps of 0.04 rad
    assert drifts[1] < 1e-2
    # at least second order, or none to speak of
    assert order(drifts) > 1.85 or max(drifts) < RUN_ROUNDING

    damped = simulate(potential, disturbed, duration=10.0, step=10 / 500, damping=0.4, solver=solver, save_every=0.5)
    assert np.all(np.diff(damped.energy(potential)) < 0)
    np.testing.assert_allclose(damped.times, np.linspace(0, 10, 21), rtol=1e-15)


def test_one_step_takes_two_fields():
    calls = []

    class Counting(AbstractField):
        def field(self, spins, t=0.0, *, key=None):
            calls.append(t)
            return spins[..., ::-1]

    spins = random_spins(chain(4), key=jax.random.key(0))
    for solver in EXPLICIT:
        terms, begin, end = LLG(Counting(), 0.1), jnp.array(0.0), jnp.array(1.0)
        state = solver.init(terms, begin, end, spins, None)
        calls.clear()
        solver.step(terms, begin, end, spins, None, state, False)
        assert len(calls) == 2


@pytest.mark.parametrize("solver", BOTH_KINDS, ids=name_of)
@pytest.mark.parametrize(
    "lattice",
    [pytest.param(square(6, 5), marks=pytest.mark.slow), kagome(4, 3, periodic=(True, False))],
    ids=lambda x: x.name,
)
def test_runs_in_planes_are_the_steps_of_the_solver(lattice, solver, key):
    """`simulate` holds the components apart; a loop over spins does not. Noise, frozen spins and vacancies included."""
    start, mask = random_spins(lattice, key=key), jax.random.bernoulli(key, 0.2, lattice.shape)
    start = dilute(start, ~jnp.roll(mask, 1, axis=0))
    bonds = 1 + 0.1 * jax.random.normal(key, (*lattice.cells, len(lattice.shell(1))))
    field = Exchange(lattice, (bonds, 0.3)) + Anisotropy(0.2) + Zeeman((0.1, 0.0, 0.3))
    settings = {"step": 0.05, "damping": 0.2, "temperature": 0.1, "key": key, "frozen": mask, "solver": solver}
    run = simulate(field, start, duration=1.0, save_every=0.5, **settings)
    noise = StepNoise(start, key=jax.random.split(key)[0])
    term = LLG(field, 0.2, Constant(jnp.asarray(0.1)), noise, mask, jax.random.split(key)[1], Clock(0.05))

    @jax.jit
    def step(n, spins):
        return solver.advance(term, n, n + 1, spins, term.contr(n, n + 1))

    spins = start
    for n in range(20):
        spins = step(jnp.asarray(float(n)), spins)
    # the implicit rules stop at ten units in the last place
    assert distance(run.final, spins) < 100 * RUN_ROUNDING


@pytest.mark.parametrize("solver", SOLVERS, ids=name_of)
def test_frozen_spins_and_vacancies(solver, key):
    lattice = square(3, 3)
    occupied = jnp.ones(lattice.shape, bool).at[0, 0].set(False)
    frozen = jnp.zeros(lattice.shape, bool).at[1, 1].set(True).at[2, 0].set(True)
    spins = dilute(random_spins(lattice, key=key), occupied)
    noise = {"temperature": Constant(0.3), "noise": StepNoise(spins, key=key)}
    term = LLG(
        Exchange(lattice, 1.0),
        0.2,
        frozen=frozen,
        clock=Clock(0.1),
        **({} if solver == ProjectedTsit5() else noise),
    )
    n = jnp.array(3.0)

    @jax.jit
    def step(spins):
        return solver.step(term, n, n + 1, spins, None, solver.init(term, n, n + 1, spins, None), False)[0]

    after = step(spins)
    assert jnp.array_equal(after[frozen], spins[frozen])
    assert jnp.array_equal(after[0, 0], jnp.zeros((1, 3)))
    moved = occupied & ~frozen
    assert bool(jnp.all(jnp.linalg.norm(after - spins, axis=-1)[moved] > 1e-3))
    assert length_error(after[moved]) < RUN_ROUNDING


@pytest.mark.parametrize("solver", KEEP_LENGTH, ids=name_of)
def test_length_does_not_drift_in_single_precision(solver):
    """A rotation by one angle again and again is rounded the same way again and again."""
    spins = jnp.array([[[0.6, 0.0, 0.8]], [[0.0, 0.0, 0.0]]], jnp.float32)
    field = Zeeman([0.1, 0.2, 1.0])
    run = simulate(field, spins, duration=2e4, step=0.1, damping=0.0, save_every=1e4, solver=solver)
    # a few units in the last place
    assert abs(np.linalg.norm(np.asarray(run.final[0, 0], np.float64)) - 1) < 3e-7
    assert jnp.array_equal(run.final[1], spins[1])


@pytest.mark.parametrize(
    ("solver", "walkers"),
    [
        (DepondtMertens(), 4096),
        (SphericalMidpoint(), 4096),
        *(pytest.param(s, 16384, marks=pytest.mark.slow) for s in STOCHASTIC),
    ],
)
def test_strong_and_weak_order_with_noise(solver, walkers):
    """Noise about three axes that do not commute: strong order 1/2, weak order 1."""
    numbers = (4, 16)
    strong, weak = zip(*diffusion_errors(solver, numbers, walkers), strict=True)
    assert slope(numbers, strong) == pytest.approx(0.5, abs=0.1)
    # of the fluctuations of the difference some tenth is left in the mean
    assert slope(numbers, weak) == pytest.approx(1.0, abs=0.5)
    assert weak[1] < weak[0] < 0.05


def deviations(potential, solver, duration):
    """At the end of every unit of time, the largest change of the energy of a spin so far."""
    lattice = square(4, 4)
    spins = random_spins(lattice, key=jax.random.key(20260))
    run = simulate(potential, spins, duration=duration, step=0.1, damping=0.0, solver=solver, save_every=1.0)
    energy = np.asarray(run.energy(potential)) / lattice.sites
    return np.maximum.accumulate(np.abs(energy - energy[0]))


QUADRATIC = Exchange(square(4, 4), 1.0) + Anisotropy(0.3)


class Quartic(AbstractPotential):
    def energy(self, spins, t=0.0, *, key=None):
        return QUADRATIC.energy(spins) - 0.2 * jnp.sum(dot(spins, spins[::-1]) ** 2)


LARGE_STEPS = pytest.mark.filterwarnings("ignore:a step of .* turned a spin")  # by 0.4 rad and more: what is tried


@LARGE_STEPS
def test_the_midpoint_rule_keeps_quadratic_energies_at_large_steps():
    """The angle turned in a step is 0.3 rad."""
    assert deviations(QUADRATIC, ImplicitMidpoint(), 100.0)[-1] < 1e-13


@LARGE_STEPS
def test_the_spherical_midpoint_rule_does_not_drift_at_large_steps():
    """Ten times the duration, about the same bound, which a longer run explores further."""
    quartic = deviations(Quartic(), SphericalMidpoint(), 500.0)
    assert quartic[500] < 5 * quartic[50] < 0.02


@pytest.mark.slow
@LARGE_STEPS
def test_other_rules_do_not_keep_the_energy_at_large_steps():
    assert deviations(QUADRATIC, SphericalMidpoint(), 100.0)[-1] > 1e-6
    spherical = deviations(Quartic(), SphericalMidpoint(), 500.0)[-1]
    assert deviations(Quartic(), SemiImplicit(), 500.0)[-1] > 2 * spherical


@pytest.mark.parametrize("solver", [DepondtMertens(), SemiImplicit()], ids=name_of)
def test_explicit_schemes_hardly_drift(solver, key):
    """With its midpoint normalized, SemiImplicit drifts 50 times faster."""
    lattice = square(8, 8)
    model = Exchange(lattice, 1.0)
    run = simulate(
        model, random_spins(lattice, key=key), duration=50.0, step=0.05, damping=0.0, solver=solver, save_every=5.0
    )
    energy = np.asarray(run.energy(model)) / lattice.sites
    assert np.max(np.abs(energy - energy[0])) < 5e-4


def assert_slopes(final):
    # one program for the values, too
    solve = jax.jit(jax.value_and_grad(final, argnums=(0, 1)))
    h = 1e-5
    ends = [float(solve(x, k)[0]) for x, k in ((h, 1.0), (-h, 1.0), (0.0, 1 + h), (0.0, 1 - h))]
    differences = (ends[0] - ends[1]) / (2 * h), (ends[2] - ends[3]) / (2 * h)
    np.testing.assert_allclose(solve(0.0, 1.0)[1], differences, rtol=1e-7)


@pytest.mark.parametrize("solver", IMPLICIT, ids=name_of)
def test_gradients_through_the_iteration(solver, key):
    lattice = chain(4)
    spins, across = random_spins(lattice, key=key), jax.random.normal(jax.random.key(7), (4, 1, 3))
    along = tangent(spins, across)

    def final(shift, coupling):
        now, term = retract(spins, shift * along), LLG(Exchange(lattice, coupling), 0.1, clock=Clock(0.1))
        for n in (jnp.asarray(0.0), jnp.asarray(1.0)):
            now = solver.advance(term, n, n + 1, now, term.contr(n, n + 1))
        return jnp.sum(now * across)

    assert_slopes(final)


@pytest.mark.slow
@pytest.mark.parametrize("solver", IMPLICIT, ids=name_of)
def test_gradients_of_runs_through_the_iteration(solver, key):
    lattice = square(3, 2)
    spins, across = random_spins(lattice, key=key), jax.random.normal(jax.random.key(7), (3, 2, 1, 3))
    along = tangent(spins, across)

    def final(shift, coupling):
        run = simulate(
            Exchange(lattice, coupling),
            retract(spins, shift * along),
            duration=0.4,
            step=0.1,
            damping=0.1,
            solver=solver,
            save_every=0.4,
            throw=False,
        )
        return jnp.sum(run.final * across)

    assert_slopes(final)


def test_an_iteration_that_does_not_converge_is_reported(key):
    spins = random_spins(chain(4), key=key)
    solver = SphericalMidpoint(iterations=2)
    with pytest.raises(RuntimeError, match=r"not converge after t = 0 and by t = 1; .* pass a smaller step"):
        simulate(Exchange(chain(4), 1.0), spins, duration=2.0, step=0.5, save_every=1.0, solver=solver)


@pytest.mark.filterwarnings("ignore:a step of .* turned a spin")
def test_turns_of_more_than_half_a_turn_are_refused():
    field = Zeeman(jnp.zeros((4, 1, 3)).at[2, 0, 2].set(10.0))
    spins = random_spins(chain(4), key=jax.random.key(0))
    with pytest.raises(RuntimeError, match=r"at t = 0 the fastest spin, at the site \(2, 0\), turns by 9.95 rad/time"):
        simulate(field, spins, duration=2.0, step=0.5, damping=0.1)
    assert simulate(field, spins, duration=2.0, step=0.25, damping=0.1).result == "successful"
    # a spin twice as long turns half as fast
    assert simulate(field, spins, duration=2.0, step=0.5, damping=0.1, moment=2.0).result == "successful"


def test_vector_arithmetic(key):
    a, b = np.asarray(jax.random.normal(key, (2, 5, 4, 3)))
    number = np.arange(20.0).reshape(5, 4)

    @jax.jit
    def all_of_it(n, a, b):
        return cross(a, b), dot(a, b), scale(n, a), add(a, b, a), subtract(a, b), where(n > 3, a, b), normalize(a)

    crossed, dotted, *exact, unit = all_of_it(number, a, b)
    np.testing.assert_allclose(crossed, np.cross(a, b), atol=1e-15)
    np.testing.assert_allclose(dotted, np.sum(a * b, axis=-1), atol=1e-15)
    chosen = np.where(number[..., None] > 3, a, b)
    for found, expected in zip(exact, (number[..., None] * a, a + b + a, a - b, chosen), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert np.max(np.abs(np.linalg.norm(unit, axis=-1) - 1)) < 1e-15
    none, slopes = jax.jit(lambda x: (normalize(x), jax.jacobian(normalize)(x)))(np.zeros((2, 3)))
    assert not np.any(none)
    assert np.all(np.isfinite(slopes))
