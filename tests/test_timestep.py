"""The suggested step against known spin waves, and the warning of steps that are too long."""

import functools
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxspin.classical import Exchange, Zeeman
from jaxspin.dynamics import relax, simulate, suggest_timestep
from jaxspin.dynamics.timestep import krylov, largest_frequency
from jaxspin.electrons import ExactDiagonalization, SDModel
from jaxspin.lattice import chain, triangular
from jaxspin.observables import texture_center
from jaxspin.problems import IsolatedSkyrmion
from jaxspin.spins import normalize, random_spins, tangent
from jaxspin.textures import ferromagnet, neel
from jaxspin.torques import SpinOrbitTorque, SpinTransferTorque
from tests.helpers import counting_compilations

ROOT = np.sqrt(0.06 / (2 * np.pi))


def disturbed(spins, tilt):
    return normalize(spins + tilt * jax.random.normal(jax.random.key(1), spins.shape, spins.dtype))


def test_the_step_near_order_is_that_of_the_fastest_spin_wave():
    """w = 2 K (1 - cos q) of the ferromagnetic chain, 4 K at most, and 2 |K| |sin q| of the antiferromagnetic one."""
    lattice = chain(24)
    for coupling, order, fastest in ((1.5, ferromagnet, 6.0), (-1.5, neel, 3.0)):
        for tilt in (0.1, 0.001):
            spins = disturbed(order(lattice), tilt)
            step = suggest_timestep(Exchange(lattice, coupling), spins, damping=0.0)
            assert ROOT / step == pytest.approx(fastest, rel=0.05)


class Perpendicular(Exchange):
    """The part of an exchange field that moves spins, as electrons and networks give it: it vanishes in order."""

    parallel_part_is_fixed = False

    def field(self, spins, t=0.0, *, key=None):
        return tangent(spins, super().field(spins, t, key=key))


@pytest.mark.parametrize("dtype", [jnp.float32, pytest.param(jnp.float64, marks=pytest.mark.slow)])
def test_a_field_that_vanishes_in_order_has_the_same_step(dtype):
    """It grew without bound: at tilts of 0.3, 0.1, 0.01, 0.001 a step of 0.7, 2.1, 19 and 190 times the right one."""
    lattice = chain(16)
    steps = [
        suggest_timestep(Perpendicular(lattice, 1.0), disturbed(ferromagnet(lattice, dtype=dtype), tilt), damping=0.0)
        for tilt in (0.1, 0.001)
    ]
    np.testing.assert_allclose(steps, ROOT / 4, rtol=0.1)


@pytest.mark.slow
def test_a_quench_of_electrons_is_accurate_with_the_suggested_step(key):
    """The step is found from random spins, whose waves are slower than those of the order they fall into."""
    lattice = triangular(8)
    electrons = ExactDiagonalization(SDModel(lattice, 1.0, 3.0), filling=0.25, temperature=0.05)
    spins = random_spins(lattice, key=key)
    settings = {"duration": 96.0, "damping": 0.5, "save_every": 96.0}
    step = suggest_timestep(electrons, spins, damping=0.5)
    assert 1.5 < step < 3
    run = simulate(electrons, spins, step=step, **settings)
    exact = simulate(electrons, spins, step=0.25, **settings)
    assert float(jnp.mean(1 - jnp.sum(run.final * exact.final, -1))) < 1e-3


def largest_turn(field, spins, **settings):
    return simulate(field, spins, throw=False, **settings).largest_turn


def test_a_step_ten_times_too_long_is_warned_of(key):
    lattice = chain(8)
    field, spins = Exchange(lattice, 1.0), random_spins(lattice, key=key)
    for damping in (0.0, 0.3):
        step = suggest_timestep(field, spins, damping=damping)
        settings = {"duration": 40 * step, "damping": damping, "save_every": 40 * step}
        run = simulate(field, spins, step=step, **settings)
        assert 0 < float(run.largest_turn) <= step * 2 / np.sqrt(1 + damping**2) * (1 + 1e-12)
        with pytest.warns(UserWarning, match=r"turned a spin by .* rad; DepondtMertens is accurate to .* Pass step = "):
            simulate(field, spins, step=10 * step, **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # inside jit nothing can be said; the number is there
        turn = jax.jit(functools.partial(largest_turn, field, step=10 * step, **settings))
        assert float(turn(spins)) > float(run.largest_turn)


def test_a_temperature_in_kelvin_is_warned_of(key):
    """300 in place of 0.026 eV: the noise alone turns a spin by more than a radian a step."""
    field, spins = Zeeman((0.0, 0.0, 0.01)), random_spins(chain(4), key=key)
    settings = {"duration": 1.0, "step": 0.5, "key": key}
    with pytest.warns(UserWarning, match=r"temperature 300 and damping 0.1 the noise .* by 7.7 rad.*step = 0.0008 or"):
        simulate(field, spins, temperature=300.0, **settings)
    with pytest.warns(UserWarning, match=r"by 1.1 rad"):  # each site by its own damping and moment
        simulate(field, spins, temperature=3.0, moment=jnp.array([[1.0], [2.0], [0.5], [1.0]]), **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        simulate(field, spins, temperature=3.0, **settings)
        jax.jit(lambda t: simulate(field, spins, temperature=t, throw=False, **settings).final)(300.0)


@pytest.mark.parametrize("name", ["transfer", pytest.param("orbit", marks=pytest.mark.slow)])
def test_a_wrong_hall_angle_of_a_skyrmion_is_warned_of(name):
    """Thirteen and four degrees at ten times the suggested step, and a third more way; a tenth of a degree at that."""
    problem = IsolatedSkyrmion(side=24)
    lattice, start = problem.lattice, relax(problem.potential, problem.spins()).spins
    torque = {
        "transfer": SpinTransferTorque(lattice, drift=(0.1, 0.0), nonadiabaticity=0.4),
        "orbit": SpinOrbitTorque(polarization=(0.0, 1.0, 0.0), dampinglike=0.05),
    }[name]
    field = problem.potential + torque
    suggested = suggest_timestep(field, start, damping=0.3)
    time = 400 * suggested

    def moved(step):
        run = simulate(field, start, step=step, duration=time, save_every=time, damping=0.3)
        before, after = (texture_center(lattice, (1 - spins[..., 0, 2]) ** 2) for spins in (start, run.final))
        return complex(*np.asarray(after - before))

    right = moved(suggested / 2)
    assert abs(moved(suggested) / right - 1) < 0.005
    with pytest.warns(UserWarning, match=r"turned a spin by .* rad; DepondtMertens is accurate to .* Pass step = "):
        wrong = moved(10 * suggested)
    assert abs(wrong / right) > 1.2
    assert abs(np.degrees(np.angle(wrong / right))) > 3


def test_the_largest_turn_is_that_of_the_field_over_the_moment():
    field = Zeeman(jnp.zeros((3, 1, 3)).at[1, 0, 2].set(4.0))
    spins = ferromagnet(chain(3)).at[2].set(0.0)
    settings = {"duration": 1.0, "step": 0.05, "damping": 0.0}
    # one program for all
    for moment, frozen, turn in ((1.0, False, 0.2), (2.0, False, 0.1), (1.0, True, 0.0)):
        mask = jnp.asarray([[False], [frozen], [False]])
        run = simulate(field, spins, moment=moment, frozen=mask, **settings)
        assert float(run.largest_turn) == pytest.approx(turn)


def test_the_krylov_space_holds_the_eigenvalues_of_few_spins():
    """Two spins have four displacements, fewer than products: waves 0, 0 and +-2 K of the ferromagnetic pair."""
    field, spins = Exchange(chain(2, periodic=False), 1.0), ferromagnet(chain(2, periodic=False))
    matrix = jax.jit(lambda s: krylov(lambda x: jnp.cross(x, field.push(x)), s))(spins)
    assert largest_frequency(matrix) == pytest.approx(2.0, rel=1e-3)
    assert largest_frequency(jnp.full((2, 2), jnp.nan)) == float("inf")


def test_a_second_suggestion_compiles_nothing(key):
    lattice = chain(8)

    def suggest(n, temperature):
        spins = random_spins(lattice, key=jax.random.fold_in(key, n))
        return suggest_timestep(Exchange(lattice, 1.0 + n), spins, damping=0.1 * n, temperature=temperature)

    suggest(1, 0.1)
    with counting_compilations() as compiled:
        suggest(2, 0.3)
    assert compiled == []
