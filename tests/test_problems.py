"""Standard problems: the simulated answer against the analytic one, and what is measured on them."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_bvp
from scipy.optimize import minimize

from experiments.checks.driven_walls import drive, speed
from jaxspin.dynamics import Leaves, Trajectory, relax, simulate
from jaxspin.lattice import chain, honeycomb, square, triangular
from jaxspin.observables import (
    dynamical_structure_factor,
    structure_factor,
    topological_charge,
    wall_position,
    wall_velocity,
    wavevectors,
)
from jaxspin.problems import DrivenWall, IsolatedSkyrmion, SpinWaves, WallAtRest
from jaxspin.spins import dilute, random_spins, rotation_matrix
from jaxspin.textures import domain_wall

# --- S(q, w) ---


@pytest.mark.parametrize("lattice", [chain(5), honeycomb(2, 3)], ids=lambda x: x.name)
def test_dynamical_structure_factor_is_its_definition(lattice, key):
    """Against the double sum over sites and times, sublattices included."""
    n, interval = 6, 0.3
    frames = jax.vmap(lambda k: random_spins(lattice, key=k))(jax.random.split(key, n))
    found = dynamical_structure_factor(lattice, frames, interval, components="xz")
    weights = np.sin(np.pi * np.arange(n) / n) ** 2
    times, place = interval * np.arange(n), lattice.positions()
    expected = np.zeros((n, *lattice.cells))
    for k, w in enumerate(np.array(found.frequencies)):
        for cell in np.ndindex(lattice.cells):
            phase = np.exp(-1j * place @ wavevectors(lattice)[cell])
            for c in (0, 2):
                at = np.array([np.sum(phase * np.array(frames[m])[..., c]) for m in range(n)])
                expected[k][cell] += abs(np.sum(weights * np.exp(1j * w * times) * at)) ** 2
    expected *= interval / (2 * np.pi * lattice.sites * np.sum(weights**2))
    np.testing.assert_allclose(found.intensity, expected, atol=1e-13)
    np.testing.assert_allclose(found.frequencies, 2 * np.pi / (n * interval) * np.arange(-3, 3), atol=1e-13)


@pytest.mark.parametrize("window", ["hann", "blackman", "none"])
def test_its_integral_is_the_static_structure_factor(window, key):
    lattice, n = triangular(3, 4), 8
    frames = jax.vmap(lambda k: random_spins(lattice, key=k))(jax.random.split(key, n))
    weights = {"hann": np.hanning(n + 1)[:-1], "blackman": np.blackman(n + 1)[:-1], "none": np.ones(n)}[window] ** 2
    static = np.array([structure_factor(lattice, frame) for frame in frames])
    found = dynamical_structure_factor(lattice, frames.astype(jnp.float32), 0.1, window=window)
    assert found.intensity.dtype == found.frequencies.dtype == jnp.float32
    np.testing.assert_allclose(found.static(), np.tensordot(weights / weights.sum(), static, 1), rtol=2e-5)


@pytest.mark.parametrize(
    ("lattice", "coupling", "easy"),
    [(chain(8), 1.0, 0.0), (chain(8), -1.0, 0.2), pytest.param(square(4), -0.5, 0.1, marks=pytest.mark.slow)],
    ids=["ferromagnet", "antiferromagnet with a gap", "square antiferromagnet"],
)
def test_spin_waves_have_their_frequencies(lattice, coupling, easy, key):
    problem = SpinWaves(lattice, coupling, easy)
    run = simulate(
        problem.potential, problem.spins(0.01, key=key), duration=64.0, step=0.05, damping=0.0, save_every=0.25
    )
    found = run.dynamical_structure_factor(components="xy")
    spacing = 2 * np.pi / (len(run) * 0.25)
    exact = problem.frequencies()
    seen = exact > 2 * spacing
    assert seen.sum() >= 6
    # two waves of opposite wavevector share a line; the step makes frequencies too low by (w step)^2/6 at most
    np.testing.assert_allclose(found.peaks()[seen], exact[seen], atol=0.15 * spacing)


def test_frequencies_of_chains():
    q = wavevectors(chain(12))[..., 0]
    np.testing.assert_allclose(SpinWaves(chain(12), 1.5, 0.2).frequencies(), 3 * (1 - np.cos(q)) + 0.4, atol=1e-14)
    np.testing.assert_allclose(SpinWaves(chain(12), -1.5).frequencies(), 3 * abs(np.sin(q)), atol=1e-7)
    with pytest.raises(ValueError, match="use chain, square, cubic"):
        SpinWaves(honeycomb(3))


def test_bad_spectra_are_refused(key):
    lattice = chain(4)
    frames = jnp.stack([random_spins(lattice, key=key)] * 5)
    with pytest.raises(ValueError, match="use one of 'hann'"):
        dynamical_structure_factor(lattice, frames, 1.0, window="hamming")
    with pytest.raises(ValueError, match="use for example 'xy'"):
        dynamical_structure_factor(lattice, frames, 1.0, components="xx")
    with pytest.raises(ValueError, match="save 4 or more"):
        dynamical_structure_factor(lattice, frames[:3], 1.0)
    numbers = {name: jnp.zeros(()) for name in ("damping", "step", "steps")}
    series = {"times": jnp.arange(5.0), "finite": jnp.ones(5, bool), "temperature": jnp.zeros(5)}
    run = Trajectory(spins=frames, saved=None, final=frames[-1], lattice=lattice, held=2, **numbers, **series)
    with pytest.raises(ValueError, match=r"run.shortened\(\)"):
        run.dynamical_structure_factor()
    # a shorter last interval is left out
    uneven = dataclasses.replace(run, held=0, times=jnp.array([0.0, 1.0, 2.0, 3.0, 3.5]))
    assert uneven.dynamical_structure_factor().frequencies.shape == (4,)


# --- walls ---


@pytest.mark.parametrize("width", [0.7, 4.0])
def test_the_position_of_a_tanh_wall_is_exact(width, key):
    lattice = square(20, 3, periodic=(False, True))

    @jax.jit
    def found(position):
        spins = domain_wall(lattice, position, width, helicity=1.0)
        return wall_position(lattice, spins), wall_position(lattice, -spins)

    for position in (3.0, 8.4, 12.5):
        np.testing.assert_allclose(found(position), position, atol=1e-6)
    spins = domain_wall(lattice, 12.5, width, helicity=1.0)
    holes = dilute(spins, jax.random.uniform(key, lattice.shape) > 0.2)
    assert float(wall_position(lattice, holes)) == pytest.approx(12.5, abs=0.3)
    across = triangular(3, 16, periodic=False)
    turned = domain_wall(across, 5.2, 2.0, axis=1, direction=(1.0, 0.0, 0.0))
    assert float(wall_position(across, turned, axis=1, direction=(2.0, 0.0, 0.0))) == pytest.approx(5.2, abs=1e-6)
    slope = jax.jit(jax.grad(lambda x: wall_position(lattice, domain_wall(lattice, x, width))))(8.4)
    assert float(slope) == pytest.approx(1.0, abs=1e-6)


def test_no_wall_no_position():
    lattice = chain(6, periodic=False)
    up = jnp.zeros((6, 1, 3)).at[..., 2].set(1.0)
    assert np.isnan(float(wall_position(lattice, up)))
    assert bool(Leaves(partial(wall_position, lattice), 0.0, 5.0)(0.0, up))
    with pytest.raises(ValueError, match="use an open axis"):
        wall_position(chain(6), up)


def test_velocity_is_the_slope_from_a_time_on():
    times = jnp.array([0.0, 1.0, 2.0, 3.0, 5.0])
    positions = jnp.array([jnp.nan, 4.0, 4.5, 5.0, 6.0])
    assert float(wall_velocity(times, positions, start=1.0)) == pytest.approx(0.5, abs=1e-12)
    assert np.isnan(float(wall_velocity(times, positions)))


def test_a_wall_at_rest():
    """Profile, energy and tail; the continuum is approached as (1/width)^2."""
    errors = []
    sites = 72  # of both, for one program
    for easy in (0.08, 0.02):
        problem = WallAtRest(sites, 1.0, easy)
        found = relax(problem.potential, problem.spins(1.4), tolerance=1e-9)
        assert found.converged
        height = np.array(found.spins)[:, 0, 2]
        middle = (sites - 1) / 2
        assert float(wall_position(problem.lattice, found.spins)) == pytest.approx(middle, abs=1e-4)
        deviation = np.max(abs(height - problem.profile(np.arange(sites) - middle)))
        energy = 1 - (float(found.energy) - problem.uniform_energy) / problem.energy
        errors.append((deviation, energy, 1 - np.sum(1 - height**2) / 2 / problem.width))
        across = np.linalg.norm(np.array(found.spins)[:, 0, :2], axis=-1)
        n = round(middle + 3 * problem.width)
        assert np.log(across[n] / across[n + 2]) / 2 == pytest.approx(1 / problem.tail, rel=0.01)
    errors = np.array(errors)
    assert np.all(errors[1] > 0)
    assert np.all(errors[1] < 0.01)
    np.testing.assert_allclose(errors[0] / errors[1], 4, rtol=0.15)


def velocities(problems, duration):
    """Of all walls, in one program."""
    times, paths = drive(problems, duration, 0.2)
    return [speed(problem, times, path) for problem, path in zip(problems, paths, strict=True)]


@pytest.mark.slow
def test_a_wall_in_a_field_below_and_above_the_breakdown():
    base = DrivenWall(sites=100)
    problems = [dataclasses.replace(base, applied=b * base.walker_field) for b in (0.4, 0.9, -0.4, 1.5, 3.0)]
    assert [p.breaks_down for p in problems] == [False, False, False, True, True]
    found, theory = velocities(problems, 1300.0), [p.velocity for p in problems]
    # the lattice makes the wall narrower by 0.1/width^2; beyond the breakdown theory neglects waves of K_h/K_a
    np.testing.assert_allclose(found[:3], theory[:3], rtol=0.02)
    np.testing.assert_allclose(found[3:], theory[3:], rtol=0.06)
    assert found[2] == pytest.approx(-found[0], rel=5e-3)
    assert found[3] < found[4] < found[1]


@pytest.mark.slow
def test_a_wall_in_a_current():
    """v = b u/a below the breakdown, u (1 + a b)/(1 + a^2) without a hard axis, and at rest for b = 0."""
    u, base = 0.03, DrivenWall(sites=90, drift=0.03)
    problems = [
        dataclasses.replace(base, nonadiabaticity=b, hard=hard)
        for b, hard in ((0.0, 0.016), (0.2, 0.016), (0.4, 0.016), (0.2, 0.0), (0.8, 0.0), (0.0, 0.0))
    ]
    found, a = velocities(problems, 600.0), base.damping
    assert found[0] == pytest.approx(0, abs=1e-5)
    # centred differences of a wall of width 2.5 are too small by 1.5 per cent
    np.testing.assert_allclose(found[1:3], [u * 0.2 / a, u], rtol=0.02)
    np.testing.assert_allclose(found[3:], [u * (1 + a * b) / (1 + a**2) for b in (0.2, 0.8, 0.0)], rtol=0.02)
    np.testing.assert_allclose([p.velocity for p in problems[1:]], found[1:], rtol=0.02)


def test_answers_of_the_driven_wall():
    """Both branches meet at the breakdown; the angle of steady motion needs no torque from outside."""
    base = DrivenWall()
    below, above = (dataclasses.replace(base, applied=b * base.walker_field).velocity for b in (1 - 1e-9, 1 + 1e-9))
    assert above == pytest.approx(below, rel=1e-3)
    assert dataclasses.replace(base, drift=0.1, nonadiabaticity=base.damping).velocity == pytest.approx(0.1)
    with pytest.raises(ValueError, match=r"DrivenWall has no answer for damping = 0\.0; .* such as 0\.4\.$"):
        DrivenWall(damping=0.0)


# --- skyrmion ---


def test_the_radial_equation_against_an_independent_solver():
    problem = IsolatedSkyrmion(chirality=0.5, applied=0.2, easy=0.03)
    found = problem.continuum(points=1200)
    k, d, h, a = problem.coupling, problem.chirality, problem.applied, problem.easy

    def slope(r, y):
        theta, rate = y
        bend = np.sin(2 * theta) / (2 * r**2) - rate / r - 2 * d / k * np.sin(theta) ** 2 / r
        return np.stack([rate, bend + (a * np.sin(2 * theta) + h * np.sin(theta)) / k])

    start = 1e-4
    solution = solve_bvp(
        slope,
        # the core is linear, theta = pi + theta'(0) r
        lambda left, right: np.array([left[0] - np.pi - left[1] * start, right[0]]),
        np.linspace(start, found.r[-1], 400),
        np.stack([np.interp(np.linspace(start, found.r[-1], 400), found.r, found.theta), np.zeros(400)]),
        tol=1e-6,
        max_nodes=20000,
    )
    assert solution.success
    np.testing.assert_allclose(found.theta[1:], solution.sol(found.r[1:])[0], atol=2e-3)
    r = np.linspace(start, found.r[-1], 20001)
    theta, rate = solution.sol(r)
    density = k / 2 * (rate**2 + np.sin(theta) ** 2 / r**2) + d * (rate + np.sin(2 * theta) / 2 / r)
    density += a * np.sin(theta) ** 2 + h * (1 - np.cos(theta))
    assert found.energy == pytest.approx(2 * np.pi * np.trapezoid(r * density, r), rel=1e-3)
    with pytest.raises(ValueError, match=r"take h near 0\.25"):
        IsolatedSkyrmion(applied=100.0).continuum()


def test_a_relaxed_skyrmion(key):
    """Charge -1; the energy is that found by another minimizer of the energy written with angles."""
    problem = IsolatedSkyrmion(side=14, chirality=0.8, applied=0.6, easy=0.05)
    found = relax(problem.potential, problem.spins(), tolerance=1e-9)
    assert found.converged
    assert float(topological_charge(problem.lattice, found.spins)) == pytest.approx(-1, abs=1e-9)
    assert float(found.spins[..., 2].min()) < -0.5
    shaken = jnp.einsum("ab,...b->...a", rotation_matrix(jnp.array([1.0, 2.0, 0.5]), 0.1), found.spins)
    again = relax(problem.potential, shaken, tolerance=1e-9)
    assert float(again.energy) == pytest.approx(float(found.energy), abs=1e-9)

    def spins_of(angles):
        theta, phi = angles.reshape(2, 14, 14)
        return np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], -1)

    def energy(angles):
        theta, phi = angles.reshape(2, 14, 14)
        s = spins_of(angles)
        field = np.zeros_like(s)
        total = 0.0
        for axis, d in ((0, [0.0, 1.0, 0.0]), (1, [-1.0, 0.0, 0.0])):
            ahead, behind, d = np.roll(s, -1, axis), np.roll(s, 1, axis), 0.8 * np.array(d)
            total -= np.sum(s * ahead) + np.sum(np.cross(s, ahead) @ d)
            field += ahead + behind + np.cross(ahead, d) - np.cross(behind, d)
        total -= 0.6 * s[..., 2].sum() + 0.05 * np.sum(s[..., 2] ** 2)
        field += np.array([0, 0, 0.6]) + 0.1 * s * [0, 0, 1]
        turn = np.stack([np.cos(theta) * np.cos(phi), np.cos(theta) * np.sin(phi), -np.sin(theta)], -1)
        round_ = np.stack([-s[..., 1], s[..., 0], np.zeros_like(phi)], -1)
        return total, -np.stack([np.sum(field * turn, -1), np.sum(field * round_, -1)]).ravel()

    start = np.array(problem.spins())[:, :, 0]
    angles = np.stack([np.arccos(np.clip(start[..., 2], -1, 1)), np.arctan2(start[..., 1], start[..., 0])])
    other = minimize(energy, angles.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": 5000, "ftol": 1e-15})
    assert other.fun == pytest.approx(float(found.energy), abs=1e-5)


@pytest.mark.slow
def test_skyrmions_approach_the_continuum():
    small = IsolatedSkyrmion()
    errors = []
    for problem in (small.wider(2), small.wider(4)):
        found = relax(problem.potential, problem.spins(), tolerance=1e-7)
        assert float(topological_charge(problem.lattice, found.spins)) == pytest.approx(-1, abs=1e-9)
        errors.append(float(found.energy) - problem.uniform_energy - problem.continuum().energy)
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.1)
    assert errors[1] < 0.05
