"""Exact diagonalization with its derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxspin.lattice as lattices
from jaxspin.electrons import ExactDiagonalization, SDModel, bloch_energy, kinetic, magnetic_flux, rashba
from jaxspin.electrons.ensemble import degenerate, ground_filling
from jaxspin.spins import normalize, random_rotation, random_spins, rotate, tangent
from jaxspin.textures import double_q, ferromagnet, neel, one_hundred_twenty, stripe, tetrahedral
from tests.helpers import by_precision

pytestmark = pytest.mark.users
ROUNDING = by_precision(1e-12, 1e-5)  # double precision, matrices of norm about 10


def test_one_spin_has_two_levels():
    """A single site: Omega = -T ln[(1 + e^((mu + J)/T))(1 + e^((mu - J)/T))], B = J (f(-J) - f(J)) S."""
    lattice = lattices.chain(1, periodic=False)
    j, mu, t = 1.3, 0.4, 0.2
    solver = ExactDiagonalization(SDModel(lattice, 1.0, j), chemical_potential=mu, temperature=t)
    spins = ferromagnet(lattice)
    energy, field = solver.energy_and_field(spins)

    def f(e):
        return 1 / (np.exp((e - mu) / t) + 1)

    assert energy == pytest.approx(-t * (np.log1p(np.exp((mu + j) / t)) + np.log1p(np.exp((mu - j) / t))))
    np.testing.assert_allclose(field[0, 0], [0, 0, j * (f(-j) - f(j))], atol=ROUNDING)


def test_half_filled_square_band():
    """J = 0, n = 1/2, T = 0: -16/pi^2 t per site in the infinite lattice (both spins), from a dense k grid."""
    cell = lattices.square(1)
    solver = ExactDiagonalization(SDModel(cell, 1.0, 0.0), filling=0.5)
    energy = bloch_energy(solver, ferromagnet(cell), 401)
    assert energy == pytest.approx(-16 / np.pi**2, abs=2e-5)  # the grid's own error is of order 1/401^2


# Exact diagonalization by an independent program, T = 0.02, triangular 24 x 24.
FREE_ENERGIES = {
    (0.25, 3.0): (-2.5005, -2.5353, -2.5941, -2.6238, -2.6144),
    (0.5, 4.0): (-4.0190, -4.4913, -4.4465, -4.4563, -4.4542),
}


@pytest.mark.parametrize(("filling", "coupling"), FREE_ENERGIES)
def test_free_energies_of_the_triangular_lattice(filling, coupling):
    found = []
    for texture, size in (
        (ferromagnet, 1),
        (one_hundred_twenty, 3),
        (stripe, 2),
        (tetrahedral, 2),
        (double_q, 2),
    ):
        cell = lattices.triangular(size)
        solver = ExactDiagonalization(SDModel(cell, 1.0, coupling), filling=filling, temperature=0.02)
        found.append(float(bloch_energy(solver, texture(cell), 24 // size)))
    np.testing.assert_allclose(found, FREE_ENERGIES[filling, coupling], atol=6e-5)  # published to four digits


@pytest.mark.double
def test_grand_potential_of_another_code():
    """Tetrahedral order, 12 x 12, J = 3, mu = -3.3, T = 0.05, by the C++ program FastKPM with exact trace."""
    lattice = lattices.triangular(12)
    solver = ExactDiagonalization(SDModel(lattice, 1.0, 3.0), chemical_potential=-3.3, temperature=0.05)
    energy, field = solver.energy_and_field(tetrahedral(lattice))
    assert energy / lattice.sites == pytest.approx(REFERENCE_POTENTIAL, abs=1e-10)
    # by symmetry the field is along the spins
    assert jnp.max(jnp.abs(tangent(tetrahedral(lattice), field))) < 1e-10


REFERENCE_POTENTIAL = -0.973891342071


ENSEMBLES = [
    {"filling": 0.25, "temperature": 0.1},
    {"chemical_potential": -3.2, "temperature": 0.1},
    {"filling": 0.25, "temperature": 0.0},
]


@pytest.mark.double
@pytest.mark.parametrize("ensemble", ENSEMBLES, ids=str)
@pytest.mark.parametrize("texture", ["tetrahedral", "ferromagnet", "random"])
def test_first_and_second_derivatives(ensemble, texture, key):
    """Energy and field against central differences, at degenerate ordered states too."""
    lattice = lattices.triangular(4)
    solver = ExactDiagonalization(SDModel(lattice, 1.0, 3.0), **ensemble)
    spins = {
        "tetrahedral": tetrahedral(lattice),
        "ferromagnet": ferromagnet(lattice),
        "random": random_spins(lattice, key=key),
    }[texture]
    v, w = jax.random.normal(key, (2, *spins.shape))
    step = 1e-5
    slope = (solver.energy(spins + step * v) - solver.energy(spins - step * v)) / (2 * step)
    field = solver.field(spins)
    assert -jnp.sum(field * v) == pytest.approx(float(slope), abs=1e-6)
    np.testing.assert_allclose(-jax.grad(solver.energy)(spins), field, atol=1e-11)
    change = (solver.field(spins + step * v) - solver.field(spins - step * v)) / (2 * step)
    expected = float(jnp.sum(w * change))
    forward = jnp.sum(w * jax.jvp(solver.field, (spins,), (v,))[1])
    reverse = jnp.sum(v * jax.grad(lambda s: jnp.sum(w * solver.field(s)))(spins))
    assert forward == pytest.approx(expected, abs=3e-6)
    assert reverse == pytest.approx(float(forward), abs=1e-10)


@pytest.mark.double
@pytest.mark.parametrize("what", ["coupling", "hopping", "temperature", "filling", "chemical_potential"])
def test_derivatives_with_respect_to_parameters(what, key):
    lattice = lattices.triangular(4)
    spins = tetrahedral(lattice)
    spins = normalize(spins + 0.3 * jax.random.normal(key, spins.shape))
    w = jax.random.normal(key, spins.shape)

    def solve(x):
        values = {"coupling": 3.0, "hopping": 1.0, "temperature": 0.1, "filling": 0.3} | {what: x}
        model = SDModel(lattice, values["hopping"], values["coupling"])
        if what == "chemical_potential":
            return ExactDiagonalization(model, chemical_potential=x, temperature=0.1)
        return ExactDiagonalization(model, filling=values["filling"], temperature=values["temperature"])

    at = {"coupling": 3.0, "hopping": 1.0, "temperature": 0.1, "filling": 0.3, "chemical_potential": -3.0}[what]
    for function in (lambda x: solve(x).energy(spins), lambda x: jnp.sum(w * solve(x).field(spins))):
        step = 1e-5
        expected = (function(at + step) - function(at - step)) / (2 * step)
        assert jax.grad(function)(at) == pytest.approx(float(expected), abs=1e-6, rel=1e-6)


@pytest.mark.double
def test_fixed_filling_and_fixed_chemical_potential_agree(key):
    """F = Omega + mu N_e, and the same field."""
    lattice = lattices.square(4)
    model, spins = SDModel(lattice, 1.0, 1.0), random_spins(lattice, key=key)
    canonical = ExactDiagonalization(model, filling=0.3, temperature=0.1)
    mu = float(canonical.fermi_level(spins))
    grand = ExactDiagonalization(model, chemical_potential=mu, temperature=0.1)
    number = 0.3 * 2 * lattice.sites
    assert grand.electrons(spins) == pytest.approx(number, abs=1e-9)
    assert canonical.energy(spins) == pytest.approx(float(grand.energy(spins) + mu * number), abs=1e-9)
    np.testing.assert_allclose(canonical.field(spins), grand.field(spins), atol=1e-9)


def test_density_matrix_is_a_projector_at_zero_temperature(key):
    lattice = lattices.square(3)
    solver = ExactDiagonalization(SDModel(lattice, 1.0, 1.0), filling=6 / 18)
    density = solver.density_matrix(random_spins(lattice, key=key))
    np.testing.assert_allclose(density @ density, density, atol=ROUNDING)
    assert jnp.real(jnp.trace(density)) == pytest.approx(6)


@pytest.mark.double
def test_partly_filled_shell_keeps_its_symmetry():
    """T = 0 with electrons left over for a degenerate shell: every site still gets the same field."""
    lattice = lattices.square(4)
    solver = ExactDiagonalization(SDModel(lattice, 1.0, 0.5), filling=0.2)
    field = solver.field(ferromagnet(lattice))
    np.testing.assert_allclose(field, jnp.broadcast_to(field[:1, :1], field.shape), atol=1e-10)


@pytest.mark.double
@pytest.mark.parametrize("filling", [0.0, 1.0])
def test_empty_and_full_bands(filling, key):
    lattice = lattices.square(3)
    spins = random_spins(lattice, key=key)
    for temperature in (0.0, 0.05):
        solver = ExactDiagonalization(SDModel(lattice, 1.0, 1.0), filling=filling, temperature=temperature)
        energy, field = solver.energy_and_field(spins)
        assert energy == pytest.approx(0, abs=1e-8)  # the trace of H vanishes
        np.testing.assert_allclose(field, 0, atol=1e-8)


def test_zero_coupling_has_no_field(key):
    lattice = lattices.triangular(3)
    solver = ExactDiagonalization(SDModel(lattice, 1.0, 0.0), filling=0.3, temperature=0.05)
    np.testing.assert_allclose(solver.field(random_spins(lattice, key=key)), 0, atol=ROUNDING)


@pytest.mark.double
def test_vacancies_are_absent_sites(key):
    """A chain cut by a vacancy has the energy of the two open pieces."""
    lattice = lattices.chain(7, periodic=False)
    occupied = np.ones((7, 1), bool)
    occupied[3] = False
    spins = random_spins(lattice, key=key)
    ensemble = {"chemical_potential": 0.2, "temperature": 0.1}
    whole = ExactDiagonalization(SDModel(lattice, 1.0, 1.5, occupied=occupied), **ensemble)
    piece = ExactDiagonalization(SDModel(lattices.chain(3, periodic=False), 1.0, 1.5), **ensemble)
    energy, field = whole.energy_and_field(spins)
    left, right = piece.energy_and_field(spins[:3]), piece.energy_and_field(spins[4:])
    assert energy == pytest.approx(float(left[0] + right[0]), abs=1e-11)
    np.testing.assert_allclose(field[:3], left[1], atol=1e-11)
    np.testing.assert_allclose(field[3], 0)
    np.testing.assert_allclose(field[4:], right[1], atol=1e-11)


@pytest.mark.double
def test_energy_does_not_see_global_rotations(key):
    lattice = lattices.kagome(2)
    solver = ExactDiagonalization(SDModel(lattice, 1.0, 2.0), filling=0.4, temperature=0.1)
    spins, rotation = random_spins(lattice, key=key), random_rotation(key=key)
    energy, field = solver.energy_and_field(spins)
    turned, turned_field = solver.energy_and_field(rotate(spins, rotation))
    assert turned == pytest.approx(float(energy), abs=1e-11)
    np.testing.assert_allclose(turned_field, rotate(field, rotation), atol=1e-11)


@pytest.mark.double
def test_double_exchange_limit():
    """J -> infinity: two sites at angle theta have the level -J - t cos(theta/2)."""
    lattice, j = lattices.chain(2, periodic=False), 1e5
    for theta in (0.0, 0.7, 2.0):
        spins = jnp.asarray([[[0.0, 0.0, 1.0]], [[np.sin(theta), 0.0, np.cos(theta)]]])
        lowest = jnp.linalg.eigvalsh(SDModel(lattice, 1.0, j).dense(spins))[0]
        assert lowest + j == pytest.approx(-np.cos(theta / 2), abs=2e-5)


@pytest.mark.double
def test_single_precision_stays_single(key):
    lattice = lattices.square(4)
    spins = random_spins(lattice, key=key, dtype=jnp.float32)
    solver = ExactDiagonalization(SDModel(lattice, 1.0, 1.0), filling=0.3, temperature=0.1)
    energy, field = solver.energy_and_field(spins)
    assert energy.dtype == field.dtype == jnp.float32
    np.testing.assert_allclose(field, solver.field(spins.astype(jnp.float64)), atol=2e-5)


def test_batches(key):
    lattice = lattices.square(3)
    solver = ExactDiagonalization(SDModel(lattice, 1.0, 1.0), filling=0.3, temperature=0.1)
    spins = jnp.stack([random_spins(lattice, key=k) for k in jax.random.split(key, 3)])
    together = jax.vmap(solver.field)(spins)
    np.testing.assert_allclose(together, jnp.stack([solver.field(s) for s in spins]), atol=1e-11)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda m: ExactDiagonalization(m, temperature=0.1), "filling or chemical_potential fixes the electrons"),
        (lambda m: ExactDiagonalization(m, filling=0.2, chemical_potential=0.0), "fixes the electrons, got both"),
        (lambda m: ExactDiagonalization(m, filling=1.2), r"for half filling give filling=0\.5"),
        (lambda m: ExactDiagonalization(m, filling=0.2, temperature=-1.0), "use 0 for the ground state"),
        (lambda m: SDModel(m.lattice, 1.0, np.ones((2, 2))), "one value a site"),
        (lambda m: SDModel(m.lattice, kinetic(m.lattice, np.ones(3))), "give a number or an array of shape"),
        (lambda m: SDModel(m.lattice, kinetic(lattices.chain(3), 1.0)), "use lattice.neighbors"),
        (lambda m: magnetic_flux(lattices.chain(4), 1, 1.0), "two-dimensional"),
        (lambda m: SDModel(m.lattice, 1.0, np.ones(m.lattice.shape)).on(lattices.square(6)), "build a new SDModel"),
        (lambda m: m.dense(jnp.zeros((3, 3, 3))), "lattice.resize"),
        (
            lambda m: SDModel(lattices.square(3, periodic=False)).bloch(jnp.zeros((3, 3, 1, 3)), jnp.zeros((1, 2))),
            "periodic=True",
        ),
    ],
)
def test_refusals_say_what_to_do(make, text):
    with pytest.raises(ValueError, match=text):
        make(SDModel(lattices.square(4), 1.0, 1.0))


def test_lowers_everywhere(key):
    lattice = lattices.triangular(4)
    solver = ExactDiagonalization(SDModel(lattice, 1.0, 3.0), filling=0.25, temperature=0.1)
    spins = random_spins(lattice, key=key, dtype=jnp.float32)
    jax.export.export(jax.jit(lambda s: solver.energy_and_field(s)), platforms=["cpu", "cuda", "tpu"])(spins)


@pytest.mark.parametrize(
    ("texture", "noise", "filling"), [(ferromagnet, 0.01, 0.25), (neel, 0.003, 0.25), (neel, 0.0, 0.3)]
)
def test_ground_state_keeps_its_electrons_in_single_precision(texture, noise, filling, key):
    """Near-degenerate levels are filled so that tr rho = N, and the energy is that of double precision."""
    lattice = lattices.square(8)
    spins = normalize(texture(lattice) + noise * jax.random.normal(key, (*lattice.shape, 3)))
    exact = ExactDiagonalization(SDModel(lattice), filling=filling)
    single = jnp.asarray(spins, jnp.float32)
    for s in (spins, single):
        trace = jnp.real(jnp.trace(exact.density_matrix(s)))
        assert trace == pytest.approx(filling * 128, rel=2e-6)
    assert exact.energy(single) == pytest.approx(float(exact.energy(spins)), rel=2e-6)
    assert exact.fermi_level(single) == pytest.approx(float(exact.fermi_level(spins)), abs=1e-5)


def test_levels_that_touch_their_neighbours_one_by_one_are_one_shell():
    d = float(degenerate(jnp.array([-1.0, 0.0])))
    f = ground_filling(jnp.array([-1, -1 + 0.7 * d, -1 + 1.4 * d, 0]), jnp.ones(4), jnp.array(1.0))
    np.testing.assert_allclose(f, [1 / 3, 1 / 3, 1 / 3, 0])


def test_zero_temperature_in_any_clothes(key):
    lattice = lattices.chain(6)
    model, spins = SDModel(lattice), random_spins(lattice, key=key)
    expected = ExactDiagonalization(model, filling=0.5).energy(spins)
    for zero in (np.float32(0), np.int64(0), jnp.zeros(())):
        assert ExactDiagonalization(model, filling=0.5, temperature=zero).energy(spins) == expected
    mapped = jax.vmap(lambda t: ExactDiagonalization(model, filling=0.5, temperature=t).energy(spins))
    found = mapped(jnp.array([0.0, 0.1]))
    assert found[0] == pytest.approx(float(expected))
    assert found[1] == pytest.approx(float(ExactDiagonalization(model, filling=0.5, temperature=0.1).energy(spins)))
    for filling in (np.float32(25), jnp.asarray(1.5)):
        with pytest.raises(ValueError, match="between 0 and 1"):
            ExactDiagonalization(model, filling=filling)


@pytest.mark.double
def test_fermi_level_of_the_ground_state_has_a_derivative(key):
    lattice = lattices.chain(6)
    spins = random_spins(lattice, key=key)

    def level(coupling, filling=0.25):
        return ExactDiagonalization(SDModel(lattice, 1.0, coupling), filling=filling).fermi_level(spins)

    def pull(coupling, filling):
        return jax.grad(lambda n: ExactDiagonalization(SDModel(lattice, 1.0, coupling), filling=n).energy(spins))(
            filling
        )

    for function in (level, lambda j: pull(j, 0.3)):
        difference = (function(1.3 + 1e-5) - function(1.3 - 1e-5)) / 2e-5
        assert abs(difference) > 0.1
        assert jax.grad(function)(1.3) == pytest.approx(float(difference), abs=1e-6)


def test_shapes_and_mixtures_are_refused(key):
    lattice = lattices.square(2)
    spins = random_spins(lattice, key=key)
    exact = ExactDiagonalization(SDModel(lattice), filling=0.25, temperature=0.1)
    with pytest.raises(ValueError, match=r"points must be a number or 2 numbers, got \(4,\); one for each axis"):
        bloch_energy(exact, spins, (4,))
    with pytest.raises(ValueError, match="give one for each axis"):
        exact.model.dense(spins, jnp.zeros(1))
    with pytest.raises(ValueError, match=r"write the numbers as \(\*js.electrons.kinetic\(lattice"):
        SDModel(lattice, (*rashba(lattice, 0.3), 1.0))
