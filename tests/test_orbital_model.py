"""Electrons with many orbitals an atom: the same as `SDModel` with one, hermitian, Bloch = repeated, series = exact."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxspin as js
from jaxspin.electrons import BlochDiagonalization, Coloring, ExactTrace, OrbitalModel
from jaxspin.observables import (
    density_of_states,
    electron_density,
    local_density_of_states,
    magnetic_moments,
    spin_polarization,
)
from tests.helpers import distance

OWNERS = (0, 1, 0, None)  # one atom of two orbitals, one of one, and an orbital that no atom owns
OFFSETS = [(i, j) for i in range(-2, 3) for j in range(-1, 2)]
TEMPERATURE = 0.3
STATE = {"filling": 0.3, "temperature": TEMPERATURE}


def cells(*sizes, periodic=True):
    along = (periodic, periodic) if isinstance(periodic, bool) else periodic
    return js.Lattice("rectangle", ((1.0, 0.0), (0.0, 1.2)), ((0.0, 0.0), (0.5, 0.5)), sizes, along)


def hermitian(number, offsets, n, scale):
    rng = np.random.default_rng(number)
    h = {r: scale * (rng.normal(size=(n, n)) + 1j * rng.normal(size=(n, n))) for r in offsets}
    return np.stack([(h[r] + h[tuple(-x for x in r)].conj().T) / 2 for r in offsets])


def parts(*, spin_orbit=False, split=True):
    owner = np.array([-1 if o is None else o for o in OWNERS])
    own = (owner[:, None] == owner) & (owner >= 0)
    d = hermitian(3, OFFSETS, 4, 0.1)
    d[:, 3, 3] = 0
    return {
        "hopping": hermitian(1, OFFSETS, 8 if spin_orbit else 4, 0.3),
        "exchange": hermitian(2, [(0, 0)], 4, 0.7)[0] * own,
        "split": d if split else None,
    }


def model_on(lattice, **kind):
    return OrbitalModel(lattice, OWNERS, OFFSETS, **parts(**kind), potential=[0.1, -0.2, 0.0, 0.3])


def spins_on(lattice, number=0):
    return js.random_spins(lattice, key=jax.random.key(number)).astype(float)


KINDS = [{"spin_orbit": False, "split": False}, {"spin_orbit": False}, {"spin_orbit": True}]


# --- one orbital an atom ------------------------------------------------------------------------------------------


def as_orbitals(model):
    """An `SDModel` as a model of orbitals, with spin-orbit blocks where hoppings turn spins."""
    blocks, n = {}, model.lattice.sublattices
    turning = any(h.spin is not None for h in model.hoppings)
    for term in model.terms():
        block = blocks.setdefault(term.offset, np.zeros((n, 2, n, 2), complex))
        spin = np.eye(2) if term.spin is None else np.asarray(term.spin)
        block[term.row, :, term.column, :] -= np.asarray(term.amplitude) * spin
    hopping = np.stack(list(blocks.values()))
    hopping = hopping.reshape(-1, 2 * n, 2 * n) if turning else hopping[:, :, 0, :, 0]
    exchange = np.diag(np.full(n, float(model.coupling)))
    return OrbitalModel(model.lattice, range(n), list(blocks), hopping, exchange, potential=model.potential)


@pytest.mark.parametrize(
    "lattice",
    [js.kagome(3, 2), pytest.param(js.triangular(4, 3, periodic=(True, False)), marks=pytest.mark.slow)],
    ids=["3", "1"],
)
def test_one_orbital_an_atom_is_the_model_of_one_orbital(lattice):
    potential = np.random.default_rng(0).normal(size=lattice.shape)
    plain = js.SDModel(lattice, (1.0, -0.3), 1.3, potential=potential)
    many, spins = as_orbitals(plain), spins_on(lattice)
    k = jnp.array([0.3, 0.7])
    assert distance(many.dense(spins, k), plain.dense(spins, k)) < 1e-13
    vectors = jnp.ones((*lattice.shape, 2, 3), complex)
    assert distance(many.matvec(spins, vectors), plain.matvec(spins, vectors)) < 1e-13
    one, other = (js.ExactDiagonalization(m, **STATE).energy_and_field(spins) for m in (plain, many))
    assert abs(one[0] - other[0]) < 1e-11
    assert distance(one[1], other[1]) < 1e-11


@pytest.mark.slow
def test_one_orbital_an_atom_has_the_same_series_and_bounds():
    plain = js.SDModel(js.kagome(2, 1), (1.0, -0.3), 1.3)
    many, spins = as_orbitals(plain), spins_on(plain.lattice)
    one, other = (
        js.KernelPolynomial(m, **STATE, probes=Coloring(3), order=16, window=(-9, 9)).energy_and_field(spins)
        for m in (plain, many)
    )
    assert abs(one[0] - other[0]) < 1e-12
    assert distance(one[1], other[1]) < 1e-12
    assert distance(jnp.array(many.spectral_bounds()), jnp.array(plain.spectral_bounds())) < 1e-10


# --- matrices and products ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "sizes", "periodic"),
    [(KINDS[0], (3, 2), (False, True)), (KINDS[1], (1, 2), (True, False)), (KINDS[2], (3, 4), True)],
    ids=str,
)
def test_products_are_those_of_a_hermitian_matrix_within_the_bounds(kind, sizes, periodic):
    lattice = cells(*sizes, periodic=periodic)
    field = np.random.default_rng(4).normal(size=(*sizes, 4, 3))
    model = OrbitalModel(lattice, OWNERS, OFFSETS, **parts(**kind), potential=[0.1, -0.2, 0.0, 0.3], zeeman=field)
    spins = spins_on(lattice)
    h = np.asarray(model.dense(spins))
    assert distance(h, h.conj().T) < 1e-13
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(*sizes, 4, 2, 3)) + 1j * rng.normal(size=(*sizes, 4, 2, 3))
    product = np.asarray(model.matvec(spins, jnp.asarray(vectors))).reshape(-1, 3)
    assert distance(product, h @ vectors.reshape(-1, 3)) < 1e-12
    (low, high), levels = model.spectral_bounds(), np.linalg.eigvalsh(h)
    assert low <= levels[0]
    assert levels[-1] <= high
    assert max(levels[0] - low, high - levels[-1]) < 9


@pytest.mark.parametrize("kind", [pytest.param(KINDS[0], marks=pytest.mark.slow), KINDS[2]], ids=str)
def test_bloch_is_the_cell_repeated(kind):
    cell, points = cells(2, 1), 2
    model, spins = model_on(cell, **kind), spins_on(cell)
    large = cell.resize(4, 2)
    repeated = jnp.tile(spins, (2, 2, 1, 1))
    exact = js.ExactDiagonalization(model, **STATE)
    whole, bloch = exact.on(large), BlochDiagonalization(exact, points=points)
    energy, field = whole.energy_and_field(repeated)
    e, b = bloch.energy_and_field(spins)
    assert abs(energy / points**2 - e) < 1e-12
    assert distance(field, jnp.tile(b, (2, 2, 1, 1))) < 1e-12
    assert abs(whole.fermi_level(repeated) - bloch.fermi_level(spins)) < 1e-12
    assert abs(js.electrons.bloch_energy(exact, spins, points) - energy / large.sites) < 1e-12


def test_observables_of_bloch_waves_are_those_of_the_cell_repeated():
    cell = cells(1, 1)
    exact = js.ExactDiagonalization(model_on(cell), **STATE)
    whole, bloch = exact.on(cell.resize(2)), BlochDiagonalization(exact, points=2)
    spins = spins_on(cell)
    repeated = jnp.tile(spins, (2, 2, 1, 1))
    energies, at = jnp.linspace(-2.0, 2.0, 5), np.array([[0, 0, 2], [0, 0, 3]])
    settings = {"resolution": 0.4}
    density = density_of_states(bloch, spins, energies, **settings)
    assert distance(density, density_of_states(whole, repeated, energies, **settings)) < 1e-12
    local = local_density_of_states(bloch, spins, energies, at, **settings)
    assert distance(local, local_density_of_states(whole, repeated, energies, at, **settings)) < 1e-12
    assert distance(electron_density(bloch, spins), electron_density(whole, repeated)[:1, :1]) < 1e-12
    assert distance(spin_polarization(bloch, spins), spin_polarization(whole, repeated)[:1, :1]) < 1e-12
    assert abs(electron_density(bloch, spins).sum() - 0.3 * 8) < 1e-12


@pytest.mark.parametrize("kind", [pytest.param(KINDS[0], marks=pytest.mark.slow), KINDS[2]], ids=str)
def test_kernel_polynomials_are_exact(kind):
    lattice = cells(2, 2, periodic=(True, False))
    model, spins = model_on(lattice, **kind), spins_on(lattice)
    exact = js.ExactDiagonalization(model, **STATE)
    series = js.KernelPolynomial(model, **STATE, probes=ExactTrace(), tolerance=1e-7)
    energy, field = exact.energy_and_field(spins)
    e, b = series.energy_and_field(spins)
    assert abs(energy - e) < 1e-6
    assert distance(field, b) < 1e-6
    assert distance(js.electrons.direct_field(series, spins), field) < 1e-5


@pytest.mark.slow
def test_observables_of_kernel_polynomials_are_exact():
    lattice = cells(2, 1)
    model, spins = model_on(lattice), spins_on(lattice)
    exact = js.ExactDiagonalization(model, **STATE)
    series = js.KernelPolynomial(model, **STATE, probes=ExactTrace(), order=128)
    assert distance(spin_polarization(exact, spins), spin_polarization(series, spins)) < 1e-6
    assert distance(electron_density(exact, spins), electron_density(series, spins)) < 1e-6
    energies, at = jnp.linspace(-2.0, 2.0, 5), np.array([[1, 0, 2], [0, 0, 3]])
    one, other = (local_density_of_states(s, spins, energies, at, resolution=0.4) for s in (exact, series))
    assert distance(one, other) < 1e-5


@pytest.mark.slow
def test_probes_of_a_few_colours_are_right_on_average(key):
    lattice = cells(4, 3)
    model, spins = model_on(lattice), spins_on(lattice)
    exact = js.ExactDiagonalization(model, **STATE).field(spins)
    solver, accuracy = js.electrons.tune(model, spins, tolerance=0.1, key=key, **STATE, order=48)
    assert accuracy.colours < 48
    error = jnp.sqrt(jnp.mean(jnp.sum((solver.field(spins, key=key) - exact) ** 2, axis=-1)))
    assert 0 < error < 3 * 0.1
    low, high = js.electrons.spectral_edges(model, spins, key=key)
    levels = js.ExactDiagonalization(model, **STATE).levels(spins)
    assert low - 1e-6 <= levels[0] <= low + 0.1
    assert high - 0.1 <= levels[-1] <= high + 1e-6


# --- derivatives --------------------------------------------------------------------------------------------------


def varied(x):
    """A model whose hopping, exchange and split are moved along hermitian directions."""
    given = parts(spin_orbit=True)
    moves = {
        "hopping": hermitian(7, OFFSETS, 8, 1.0),
        "exchange": hermitian(8, [(0, 0)], 4, 1.0)[0] * (given["exchange"] != 0),
        "split": hermitian(9, OFFSETS, 4, 1.0) * (given["split"] != 0),
    }
    moved = {name: given[name] + x[i].astype(complex) * moves[name] for i, name in enumerate(moves)}
    return OrbitalModel(cells(2, 1), OWNERS, OFFSETS, **moved)


@pytest.mark.parametrize("method", ["exact", pytest.param("series", marks=pytest.mark.slow)])
def test_derivatives_by_the_model_are_differences(method):
    spins = spins_on(cells(2, 1))

    def energy(x):
        state = {"chemical_potential": 0.1 + x[3], "temperature": TEMPERATURE}
        if method == "exact":
            return js.ExactDiagonalization(varied(x), **state).energy(spins)
        settings = {"probes": ExactTrace(), "order": 48, "window": (-8.0, 8.0)}
        return js.KernelPolynomial(varied(x), **state, **settings).energy(spins)

    step, along = 1e-4, jnp.array([1.0, -0.7, 0.5, 0.3])
    both = jax.jit(jax.value_and_grad(energy))
    slope = both(jnp.zeros(4))[1]
    for i in range(4):
        (minus, _), (plus, _) = (both(jnp.zeros(4).at[i].set(x)) for x in (-step, step))
        assert abs(slope[i] - (plus - minus) / (2 * step)) < 1e-6 * (1 + abs(slope[i]))
    second = jax.jit(jax.grad(lambda x: jnp.vdot(jax.grad(energy)(x), along)))(jnp.zeros(4))
    difference = (both(step * along)[1] - both(-step * along)[1]) / (2 * step)
    assert distance(second, difference) < 1e-5 * float(jnp.max(jnp.abs(second)))


@pytest.mark.parametrize("kind", [pytest.param(KINDS[0], marks=pytest.mark.slow), KINDS[1]], ids=str)
def test_field_is_the_gradient(kind):
    lattice = cells(2, 1, periodic=(True, False))
    solver, spins = js.ExactDiagonalization(model_on(lattice, **kind), **STATE), spins_on(lattice)
    js.testing.assert_field_is_gradient(solver, spins, key=jax.random.key(1))
    along, step = jnp.ones_like(spins), 1e-4
    slope = jax.jit(lambda x: jax.jvp(solver.field, (x,), (along,))[1])(spins)
    difference = (solver.field(spins + step * along) - solver.field(spins - step * along)) / (2 * step)
    assert distance(slope, difference) < 1e-6


# --- making one ---------------------------------------------------------------------------------------------------


def test_a_collinear_pair_is_the_ferromagnet():
    lattice = cells(2, 2)
    up, down = (hermitian(n, OFFSETS, 4, 0.4) for n in (5, 6))
    down[:, 3, 3] = up[:, 3, 3]  # no spin could split the orbital that no atom owns
    model = OrbitalModel.collinear(lattice, OWNERS, OFFSETS, up, down)
    spins = js.textures.ferromagnet(lattice, dtype=float)
    for sign, expected in ((1, (up, down)), (-1, (down, up))):
        h = model.dense(sign * spins).reshape(16, 2, 16, 2)
        for s, hopping in enumerate(expected):
            one = OrbitalModel(lattice, OWNERS, OFFSETS, hopping, np.zeros((4, 4)))
            assert distance(h[:, s, :, s], one.dense(spins).reshape(16, 2, 16, 2)[:, 0, :, 0]) < 1e-13
    assert model.filling_of(3.0) == 3 / 8
    onsite = OrbitalModel.collinear(lattice, OWNERS, OFFSETS, up, down, split=False)
    assert onsite.split is None
    assert distance(onsite.exchange, model.exchange) == 0
    assert distance(np.diag(onsite.exchange), np.append(np.diag(down[7] - up[7])[:3] / 2, 0)) < 1e-14


def test_what_is_left_out_and_minority_spins_are_told():
    lattice, zero = js.chain(2), np.zeros((1, 2, 2))
    with pytest.warns(UserWarning, match="a splitting of 0.5 units of energy between orbitals of atoms without a spin"):
        model = OrbitalModel.collinear(lattice, (0, None), [(0,)], zero, zero + np.diag([2.0, 1.0]))
    assert model.exchange.tolist() == [[1.0, 0.0], [0.0, 0.0]]
    OrbitalModel.collinear(lattice, (0, None), [(0,)], zero, zero + np.diag([2.0, 0.08]))
    centres, cube = np.array([[0.0, 0, 0], [1.0, 1, 1]]), 2 * np.eye(3)
    for levels, told in (
        ([-2.0, -2.0], r"trace on Fe \(-1 eV\), O \(-1 eV\): .* minority spin; swap the two"),
        ([2.0, -2.0], r"trace on O \(-1 eV\): their spins point against their moments"),
    ):
        given = (np.zeros((1, 3), int), zero, zero + np.diag(levels), ("Fe", "O"), centres, centres, np.arange(2))
        with pytest.warns(UserWarning, match=told):
            OrbitalModel.from_wannier(js.io.WannierHamiltonian(cube, *given))


def test_moments_of_separate_atoms_follow_their_spins():
    lattice = cells(2, 1)
    flat = OrbitalModel(lattice, OWNERS, [(0, 0)], np.zeros((1, 4, 4)), np.diag([2.0, 2.0, 2.0, 0.0]))
    solver = js.ExactDiagonalization(flat, chemical_potential=0.0, temperature=0.1)
    spins = spins_on(lattice)
    # full and empty, each orbital gives one Bohr magneton
    assert distance(magnetic_moments(solver, spins), spins * jnp.array([2.0, 1.0])[None, None, :, None]) < 1e-6
    plain = js.ExactDiagonalization(js.SDModel(lattice), filling=0.5, temperature=0.1)
    with pytest.raises(ValueError, match=r"SDModel has no field on single orbitals; divide solver.field"):
        spin_polarization(plain, spins)


def test_what_does_not_fit_is_refused():
    lattice, given = cells(2, 2), parts()

    def make(owners=OWNERS, offsets=OFFSETS, **changed):
        return OrbitalModel(lattice, owners, offsets, **(given | changed))

    crooked = given["hopping"].copy()
    crooked[3, 0, 1] += 0.5
    with pytest.raises(ValueError, match=r"hopping is not hermitian: .* by up to 0.5, at R = .* m = .*; give \(H"):
        make(hopping=crooked)
    with pytest.raises(
        ValueError, match=r"exchange has elements up to 0.25 between orbitals of different owners, or of"
    ):
        make(exchange=given["exchange"] + 0.25 * np.eye(4))
    with pytest.raises(ValueError, match="exchange is not hermitian"):
        make(exchange=np.triu(np.ones((4, 4))))
    with pytest.raises(ValueError, match="split has elements up to 1 between two orbitals without owner"):
        make(split=np.tile(np.eye(4), (15, 1, 1)))
    with pytest.raises(
        ValueError, match=r"owners are sublattices from 0 to 1 or None, .* give the magnetic atoms alone"
    ):
        make(owners=(0, 1, 2, None))
    with pytest.raises(
        ValueError, match=r"hopping of shape \(15, 4, 4\) does not fit 15 lattice vectors .* give \(15, 3"
    ):
        make(owners=(0, 1, None))
    with pytest.raises(ValueError, match=r"R = \(2, 1\) is there without -R; give both"):
        make(offsets=OFFSETS[1:], hopping=given["hopping"][1:], split=None)
    with pytest.raises(ValueError, match=r"R = \(0, 0\) is listed twice; add up"):
        make(offsets=[(0, 0)] * 15)
    with pytest.raises(ValueError, match=r"offsets are integers of shape \(vectors, 2\)"):
        make(offsets=np.zeros((15, 3), int))
    with pytest.raises(ValueError, match=r"potential of shape \(3,\) does not fit; give one of the shapes"):
        make(potential=np.ones(3))
    with pytest.raises(ValueError, match=r"up of shape .* do not fit 15 lattice vectors and 4 owners; give both"):
        OrbitalModel.collinear(lattice, OWNERS, OFFSETS, given["hopping"], given["hopping"][1:])
    with pytest.raises(ValueError, match=r"only a uniform model moves .*; build a new OrbitalModel there"):
        make(potential=np.zeros((2, 2, 4))).on(cells(3, 3))


def test_waves_that_are_not_even_are_refused():
    exact = js.ExactDiagonalization(model_on(cells(1, 1)), **STATE)
    with pytest.raises(ValueError, match="leave out even=True"):
        BlochDiagonalization(exact, points=2, even=True)


def test_even_hoppings_need_half_the_wavevectors():
    cell = js.square(1)
    levels = np.array([[0.0, 0.2], [0.2, 1.0]])
    hops = np.array([[-1.0, 0.3], [0.3, 0.4]])
    model = OrbitalModel(cell, (0, 0), [(0, 0), (1, 0), (-1, 0)], np.stack([levels, hops, hops]), np.diag([1.0, 0.5]))
    exact = js.ExactDiagonalization(model, **STATE)
    whole, half = (BlochDiagonalization(exact, points=3, even=even) for even in (False, True))
    spins = spins_on(cell)
    assert len(half.wavevectors()[0]) == 5
    assert distance(whole.field(spins), half.field(spins)) < 1e-12


# --- from files -----------------------------------------------------------------------------------------------------


def test_spins_up_have_the_bands_of_the_files_and_a_turn_of_all_changes_nothing():
    iron = js.io.read_wannier90(*js.io.example("bcc_iron"))
    model = OrbitalModel.from_wannier(iron)
    up, k = js.textures.ferromagnet(model.lattice), np.array([[0.0, 0.0, 0.0], [0.125, 0.25, 0.4]])
    turned = js.normalize(jnp.ones((*model.lattice.shape, 3)))
    bands = np.sort(iron.bands(k).transpose(1, 0, 2).reshape(2, -1))
    for spins in (up, turned):
        levels = jnp.linalg.eigvalsh(model.bloch(spins, jnp.asarray(k)))
        np.testing.assert_allclose(levels, bands, atol=1e-5)
    plain = OrbitalModel.from_wannier(iron, (2, 1, 1), split=False)
    assert plain.split is None
    assert plain.lattice.cells == (2, 1, 1)
    assert distance(plain.exchange, model.exchange) == 0
    with pytest.raises(ValueError, match="name some by magnetic="):
        OrbitalModel.from_wannier(iron, magnetic=())
