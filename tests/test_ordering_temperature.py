"""Spin waves, stiffness and ordering temperatures of Heisenberg models, against known numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxspin as js
from jaxspin.observables import (
    ExchangeCouplings,
    magnon_energies,
    mean_field_temperature,
    random_phase_temperature,
    spin_wave_frequencies,
    spin_wave_stiffness,
)

CUBIC = {
    "sc": ([[1, 0, 0], [0, 1, 0], [0, 0, 1]], 1.516386),
    "bcc": ([[-0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.5, 0.5, -0.5]], 1.393204),
    "fcc": ([[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]], 1.344661),
}
Q = jnp.array([[0.1, 0.0, 0.0], [0.2, 0.3, 0.1]])


def nearest(lattice, strength=1.0, **more):
    """J of the nearest neighbours, each pair once."""
    pairs = [(b.start, b.end, b.offset, strength) for b in lattice.shell(1)]
    return ExchangeCouplings.of_pairs(lattice, pairs, **more)


def cubic(name, cells, basis=((0, 0, 0),)):
    return js.Lattice(name, CUBIC[name][0], basis, (cells,) * 3, (True,) * 3)


def centred(cells):
    """bcc as a cube with two sites."""
    return cubic("sc", cells, ((0, 0, 0), (0.5, 0.5, 0.5)))


def ratio(exchange):
    return float(random_phase_temperature(exchange) / mean_field_temperature(exchange))


@pytest.mark.parametrize("name", CUBIC)
def test_watson_integrals(name):
    """The error falls with the number of wavevectors: without the singularity taken off it would be 5 % here."""
    watson = CUBIC[name][1]
    coarse, fine = (abs(ratio(nearest(cubic(name, n))) * watson - 1) for n in (6, 12))
    assert fine < 2e-4
    assert fine < coarse / 5


@pytest.mark.parametrize(("signs", "strength"), [((1, 1), 1.0), ((1, -1), -1.0)])
def test_two_sublattices_are_one_lattice(signs, strength):
    """The bcc lattice, and its antiferromagnet, which has the same T_c; waves of both in closed form."""
    exchange = nearest(centred(6), strength, signs=signs)
    assert ratio(exchange) * CUBIC["bcc"][1] == pytest.approx(1, abs=2e-3)
    c = np.prod(np.cos(np.pi * np.asarray(Q)), axis=1)
    expected = 16 * np.stack([1 - c, 1 + c], 1) if signs == (1, 1) else 16 * np.sqrt(1 - c[:, None] ** 2) * [1, 1]
    np.testing.assert_allclose(magnon_energies(exchange, Q), expected, atol=1e-10)


def test_waves_are_those_of_the_equation_of_motion():
    """A ferrimagnet of unequal moments: `simulate` turns a spin by B/(m/2) for m Bohr magnetons."""
    ring, moments = js.Lattice("two", [[1.0]], [[0.0], [0.5]], [4], [True]), jnp.array([1.0, 2.5])
    exchange = nearest(ring, -0.7, signs=(1, -1), moments=moments)
    up_down = jnp.broadcast_to(jnp.array([[0.0, 0.0, 1.0], [0.0, 0.0, -1.0]]), (4, 2, 3))
    expected = spin_wave_frequencies(js.Exchange(ring, -0.7), up_down, moment=jnp.broadcast_to(moments / 2, (4, 2)))
    found = magnon_energies(exchange, jnp.arange(4.0)[:, None] / 4)
    np.testing.assert_allclose(np.sort(found.ravel()), expected, atol=1e-6)


def test_stiffness_is_the_curvature_of_the_waves():
    """With two sublattices that yield to each other: unequal bonds of a chain act in series."""
    ring = js.Lattice("two", [[1.0]], [[0.0], [0.4]], [6], [True])
    exchange = ExchangeCouplings.of_pairs(ring, [(0, 1, (0,), 1.0), (1, 0, (1,), 3.0)], moments=[1.0, 2.0])
    step = 1e-3
    w = magnon_energies(exchange, jnp.array([[step]]))[0, 0]
    stiffness = spin_wave_stiffness(exchange)[0, 0]
    np.testing.assert_allclose(stiffness, w / (2 * np.pi * step) ** 2, rtol=1e-4)
    # springs in series: 1/K = 1/1 + 1/3, (m/2) D = K
    np.testing.assert_allclose(stiffness, 2 / 3 * 3 / 4, rtol=1e-9)


@pytest.mark.parametrize("signs", [(1, 1), (1, -1)], ids=["ferromagnet", "ferrimagnet"])
def test_stiffness_does_not_know_which_way_is_up(signs):
    """It is the curvature of the waves, whichever way the larger moment points."""
    step, ring = 1e-3, js.Lattice("two", [[1.0]], [[0.0], [0.4]], [6], [True])
    strength = signs[0] * signs[1]
    pairs = [(0, 1, (0,), 1.0 * strength), (1, 0, (1,), 3.0 * strength)]
    for way in (1, -1):
        along = [way * sign for sign in signs]
        exchange = ExchangeCouplings.of_pairs(ring, pairs, signs=along, moments=[1.0, 2.0])
        w = magnon_energies(exchange, jnp.array([[step]]))[0, 0]
        np.testing.assert_allclose(spin_wave_stiffness(exchange)[0, 0], w / (2 * np.pi * step) ** 2, rtol=1e-4)


def test_one_process_uses_both_precisions():
    """Single, double, single: what is kept of a lattice fits either."""

    def everything():
        exchange = nearest(centred(3))
        numbers = [random_phase_temperature(exchange), spin_wave_stiffness(exchange)[0, 0]]
        numbers += [magnon_energies(exchange, jnp.array([[0.1, 0.0, 0.0]]))[0, 0], exchange.resized(4).by_image()[0]]
        return np.array([float(x) for x in numbers])

    found = []
    for double in (False, True, False):
        with jax.enable_x64(double):
            found.append(everything())
    np.testing.assert_allclose(found[0], found[1], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found[2], found[1], rtol=1e-4, atol=1e-5)


def test_damping_is_taken_back_to_zero():
    exchange = nearest(cubic("sc", 6))
    plain = spin_wave_stiffness(exchange)
    damped = spin_wave_stiffness(exchange, dampings=[0.1])
    np.testing.assert_allclose(damped, plain * np.exp(-0.1), atol=1e-12)
    np.testing.assert_allclose(
        spin_wave_stiffness(exchange, dampings=[0.1, 0.2, 0.3, 0.4]), plain, rtol=1e-2, atol=1e-12
    )


def test_a_finer_mesh_interpolates():
    """Even where couplings reach halfway around: what is equally far on both sides is shared out."""
    lattice = js.Lattice("oblique", [[1.0, 0.0], [0.3, 1.1]], [[0.0, 0.0], [0.5, 0.2]], (4, 4), (True, True))
    rng = np.random.default_rng(1)
    j = rng.normal(size=(4, 4, 2, 2))
    back = np.roll(np.flip(j, (0, 1)), 1, (0, 1)).swapaxes(-1, -2)
    j = (j + back) / 2
    j[0, 0] *= 1 - np.eye(2)
    coarse = ExchangeCouplings(lattice, j)
    fine = coarse.resized(8)
    np.testing.assert_allclose(fine.on_mesh()[::2, ::2], coarse.on_mesh(), atol=1e-12)
    q = js.observables.wavevectors(fine.lattice) @ np.linalg.inv(fine.lattice.reciprocal())
    np.testing.assert_allclose(coarse.at(q), fine.on_mesh(), atol=1e-12)
    np.testing.assert_allclose(coarse.total(), jnp.sum(fine.couplings, axis=(0, 1)), atol=1e-12)


def test_the_list_of_pairs_has_the_energy_of_the_convention():
    lattice = cubic("bcc", 4)
    exchange = nearest(lattice, 1.5)
    assert exchange.between(0, 0, lattice.shell(1)[0].offset) == 0.75
    pairs = exchange.pairs(1.0)
    assert [j for *_, j in pairs] == [1.5] * 4 + [0.0] * 3
    distance, mean, count = exchange.by_distance()
    np.testing.assert_allclose([distance[0], mean[0], count[0]], [np.sqrt(0.75), 0.75, 8], atol=1e-6)
    again = ExchangeCouplings.of_pairs(lattice, pairs)
    np.testing.assert_allclose(again.couplings, exchange.couplings)
    # the ferromagnet: - sum_(i != j) J_ij = - sum_<ij> 2 J_ij
    spins = js.textures.ferromagnet(lattice)
    np.testing.assert_allclose(js.Exchange(lattice, 1.5).energy(spins), -exchange.total()[0, 0] * lattice.sites)


@pytest.mark.parametrize("side", [3, 4, 5])
def test_all_pairs_have_the_same_waves_on_every_lattice(side, key):
    """A flat spiral has the energy -J(q) a site, whether its box holds all pairs or folds them; even meshes share."""
    mesh = cubic("bcc", 4)
    drawn = jax.random.normal(key, (*mesh.cells, 1, 1)).at[0, 0, 0].set(0)
    back = jnp.roll(jnp.flip(drawn, (0, 1, 2)), (1, 1, 1), (0, 1, 2))
    exchange = ExchangeCouplings(mesh, drawn + back)
    lattice = cubic("bcc", side)
    magnet = js.Exchange(lattice, pairs=exchange.pairs())
    q = np.array([1.0, 0.0, 2.0]) / side
    spins = js.textures.spiral(lattice, q @ lattice.reciprocal())
    np.testing.assert_allclose(magnet.energy(spins) / lattice.sites, -exchange.at(q)[0, 0].real, atol=1e-10)


def test_temperatures_are_linear_in_the_couplings():
    """Euler: J dT/dJ summed is T, through the self-consistent averages of unequal sublattices too."""
    lattice = centred(4)
    second = [(0, 0, (1, 0, 0), 0.6), (0, 0, (0, 1, 0), 0.6), (0, 0, (0, 0, 1), 0.6)]
    pairs = [(b.start, b.end, b.offset, 1.0) for b in lattice.shell(1)] + second
    couplings = ExchangeCouplings.of_pairs(lattice, pairs).couplings

    def temperature(j):
        return random_phase_temperature(ExchangeCouplings(lattice, j))

    value, slope = jax.value_and_grad(temperature)(couplings)
    assert float(jnp.sum(slope * couplings)) == pytest.approx(float(value), rel=1e-6)
    change = jnp.zeros_like(couplings).at[..., 0, 0].set(couplings[..., 0, 0])
    step = 1e-4
    expected = (temperature(couplings + step * change) - temperature(couplings - step * change)) / (2 * step)
    assert float(jnp.sum(slope * change)) == pytest.approx(float(expected), rel=1e-4)
    assert value < mean_field_temperature(ExchangeCouplings(lattice, couplings))


def test_what_is_refused():
    with pytest.raises(ValueError, match="T_c is zero"):
        random_phase_temperature(nearest(js.square(4)))
    with pytest.raises(Exception, match="another order has a lower energy"):
        random_phase_temperature(nearest(cubic("sc", 4), -1.0))
    with pytest.raises(Exception, match="moments cancel"):
        spin_wave_stiffness(nearest(centred(4), -1.0, signs=(1, -1)))
    with pytest.raises(Exception, match="the order is not stable"):
        magnon_energies(nearest(centred(4), 1.0, signs=(1, -1)), Q)
    with pytest.raises(Exception, match="change the sign of the splitting"):
        magnon_energies(nearest(cubic("sc", 4), moments=[-1.0]), Q)
    with pytest.raises(ValueError, match="fix no parabola"):
        spin_wave_stiffness(nearest(cubic("sc", 4)), dampings=[0.1, 0.2])
    with pytest.raises(ValueError, match="signs = "):
        nearest(cubic("sc", 4), signs=(2,))
    with pytest.raises(ValueError, match=r"couplings of shape \(4, 4, 1, 1\)"):
        ExchangeCouplings(cubic("sc", 4), np.zeros((4, 4, 1, 1)))
    with pytest.raises(ValueError, match="periodic=True"):
        ExchangeCouplings(js.chain(3, periodic=False), np.zeros((3, 1, 1)))
    with pytest.raises(ValueError, match="joins a site to itself"):
        ExchangeCouplings.of_pairs(js.chain(3), [(0, 0, (0,), 1.0)])
    with pytest.raises(ValueError, match="is no number"):
        ExchangeCouplings.of_pairs(js.chain(3), [(0, 0, (1,), np.eye(3))])
    with pytest.raises(ValueError, match="is smaller than"):
        nearest(cubic("sc", 4)).resized(3)


def test_a_list_counts_pairs_as_exchange_does():
    """From both ends it is the same list; numbers of a coarse kind stay what they are."""
    lattice = js.Lattice("two", [[1.0]], [[0.0], [0.4]], [6], [True])
    pairs = [(0, 1, (0,), 1.0), (1, 0, (1,), 3.0), (1, 1, (2,), 0.5)]
    both = pairs + [(j, i, (-r[0],), J) for i, j, r, J in pairs]
    once = ExchangeCouplings.of_pairs(lattice, pairs)
    np.testing.assert_allclose(ExchangeCouplings.of_pairs(lattice, both).couplings, once.couplings)
    assert ExchangeCouplings.of_pairs(lattice, [(0, 1, (0,), jnp.float32(1.0))]).couplings.dtype == jnp.float32
    spins = js.random_spins(lattice, key=jax.random.key(1))
    flat = spins.reshape(-1, 3)
    matrix = once.couplings[(np.arange(6) - np.arange(6)[:, None]) % 6]
    matrix = jnp.swapaxes(matrix, 1, 2).reshape(12, 12)
    np.testing.assert_allclose(-jnp.sum(matrix * (flat @ flat.T)), js.Exchange(lattice, pairs=pairs).energy(spins))


@pytest.mark.parametrize(
    ("lattice", "pairs", "told"),
    [
        (js.chain(6), [(0, 0, (1,), 1.0)] * 2, "is listed twice"),
        (js.chain(6), [(0, 1, (1,), 1.0)], "has no atom 1"),
        (js.chain(6), [(0, -1, (1,), 1.0)], "has no atom -1"),
        (js.chain(6), [(0, 0, (1, 0), 1.0)], "needs 1 entries"),
        (js.chain(6), [(0, 0, (1,), 1.0), (0, 0, (-1,), 1.0), (0, 0, (2,), 1.0)], "from both ends"),
        (
            js.chain(6),
            [(0, 0, (6,), 1.0)],
            r"reaches halfway around the mesh \(6,\) or farther; use lattice.resize\(13\)",
        ),
        (js.chain(6), [(0, 0, (1,), 1.0), (0, 0, (3,), 1.0)], r"\(0, 0, \(3,\)\) reaches halfway.*resize\(7\)"),
        (js.triangular(3), [(0, 0, (1, 1), 1.0)], r"reaches halfway.*resize\(5\)"),
        (js.chain(6, periodic=False), [(0, 0, (3,), 1.0)], "periodic=True"),
    ],
)
def test_lists_that_are_refused(lattice, pairs, told):
    with pytest.raises(ValueError, match=told):
        ExchangeCouplings.of_pairs(lattice, pairs)


def test_a_pair_may_reach_far_along_an_oblique_axis():
    """It folds where another way is as short, whatever the numbers of R are."""
    exchange = ExchangeCouplings.of_pairs(js.triangular(4), [(0, 0, (2, -1), 1.0)])
    assert [pair for pair in exchange.pairs(2.0) if pair[3]] == [(0, 0, (2, -1), 1.0)]


def test_couplings_that_are_none_are_refused():
    zero = np.zeros((4, 1, 1))
    one_way, itself = zero.copy(), zero.copy()
    one_way[1], itself[0] = 1.0, 1.0
    with pytest.raises(ValueError, match="are one coupling, but differ by up to 1; give their mean"):
        ExchangeCouplings(js.chain(4), one_way)
    with pytest.raises(ValueError, match="coupled to itself, J = 1; set"):
        ExchangeCouplings(js.chain(4), itself)
    exchange = ExchangeCouplings(js.chain(4), zero)
    for site in (-1, 1):
        with pytest.raises(ValueError, match="count them from 0 to 0"):
            exchange.between(0, site, (0,))
    with pytest.raises(ValueError, match="needs 1 entries"):
        exchange.between(0, 0, (0, 0))
    with pytest.raises(ValueError, match=r"wavevectors of shape \(3, 2\) do not fit; give \(..., 1\)"):
        magnon_energies(exchange, jnp.zeros((3, 2)))


def test_pairs_beyond_half_the_mesh_are_told():
    exchange = nearest(cubic("bcc", 4))
    assert len(exchange.pairs(1.7)) == (8 + 6 + 12 + 24) // 2
    with pytest.warns(UserWarning, match=r"radius = 1\.8 is beyond half the mesh \(4, 4, 4\), 1\.732: .* larger mesh"):
        exchange.pairs(1.8)
