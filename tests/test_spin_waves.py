"""Linear spin waves against analytic dispersions and the equation of motion itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxspin as js
from jaxspin.observables import (
    by_distance,
    effective_exchange,
    spin_wave_frequencies,
    spin_waves,
    tangent_hessian,
)
from jaxspin.problems import spin_wave_frequency
from jaxspin.spins import dilute, tangent_frame, torque

# A Goldstone mode is a double zero: rounding splits it by its root.
GOLDSTONE = 1e-6


def frequencies_of_the_equation(potential, spins):
    """|Im| of the eigenvalues of d(S x B)/dS between tangents: no Hessian, no Hermitian reduction."""
    frames = tangent_frame(spins).reshape(-1, 2, 3)
    n = len(frames)
    basis = jnp.zeros((2 * n, n, 3)).at[jnp.arange(2 * n), jnp.arange(2 * n) // 2].set(frames.reshape(-1, 3))

    def rate(x):
        moved = js.normalize(spins + jnp.einsum("k,kia->ia", x, basis).reshape(spins.shape))
        return jnp.einsum("kia,ia->k", basis, torque(moved, potential.field(moved)).reshape(n, 3))

    values = np.linalg.eigvals(np.asarray(jax.jit(jax.jacrev(rate))(jnp.zeros(2 * n))))
    assert abs(values.real).max() < 1e-5
    return np.sort(np.abs(values.imag))[::2]


def test_ferromagnetic_chain():
    """w = 2 K (1 - cos q), and the Goldstone mode at zero."""
    lattice = js.chain(10)
    spins = js.textures.ferromagnet(lattice, (1.0, -2.0, 0.5))
    found = spin_waves(js.Exchange(lattice, 0.7), spins)
    expected = np.sort([spin_wave_frequency(2 * np.pi * k / 10, 0.7) for k in range(10)])
    np.testing.assert_allclose(found.frequencies, expected, atol=GOLDSTONE)
    assert found.stable
    assert found.minimum


def test_antiferromagnetic_chain():
    """w = 2 K |sin q|: two Goldstone modes, with the pairs of noncommuting eigenvectors of Bogoliubov's problem."""
    lattice = js.chain(8)
    found = spin_wave_frequencies(js.Exchange(lattice, -1.0), js.textures.neel(lattice, (0.3, 1.0, 0.2)))
    expected = np.sort([2 * abs(np.sin(2 * np.pi * k / 8)) for k in range(8)])
    np.testing.assert_allclose(found, expected, atol=GOLDSTONE)


@pytest.mark.parametrize("kind", ["120 degrees", "tetrahedral electrons"])
def test_noncollinear_textures_against_the_equation_of_motion(kind):
    if kind == "120 degrees":
        lattice = js.triangular(3)
        potential, spins, goldstone = js.Exchange(lattice, -1.0), js.textures.one_hundred_twenty(lattice), 3
    else:
        lattice = js.triangular(2)
        model = js.SDModel(lattice, 1.0, 3.0)
        potential, spins = (
            js.ExactDiagonalization(model, filling=0.25, temperature=0.1),
            js.textures.tetrahedral(lattice),
        )
        goldstone = 3
    found = spin_waves(potential, spins)
    expected = frequencies_of_the_equation(potential, spins)
    np.testing.assert_allclose(found.frequencies, expected, atol=1e-5)
    assert np.sum(np.asarray(found.frequencies) < 1e-5) >= goldstone - 1
    assert found.minimum
    # the modes solve dx/dt = -i w x
    hessian = np.asarray(tangent_hessian(potential, spins))
    turn = np.kron(np.eye(lattice.sites), np.array([[0.0, 1.0], [-1.0, 0.0]]))
    left = turn @ hessian @ np.asarray(found.modes)
    right = -1j * np.asarray(found.frequencies) * np.asarray(found.modes)
    # a Goldstone mode's frequency is the root of rounding
    waves = np.abs(np.asarray(found.frequencies)) > 1e-4
    np.testing.assert_allclose(left[:, waves], right[:, waves], atol=1e-8)
    np.testing.assert_allclose(left, right, atol=GOLDSTONE)


def test_hessian_is_that_of_the_energy(key):
    """Second differences of the energy along a displacement on the sphere."""
    lattice = js.square(3)
    potential = js.Exchange(lattice, 1.0) + js.Anisotropy(0.3, (0.0, 0.0, 1.0))
    spins = js.textures.ferromagnet(lattice)
    x = jax.random.normal(key, (9, 2))
    frames = tangent_frame(spins).reshape(9, 2, 3)

    def energy(h):
        return potential.energy(js.normalize(spins + h * jnp.einsum("ia,iax->ix", x, frames).reshape(spins.shape)))

    h = 1e-3
    second = (energy(h) - 2 * energy(0.0) + energy(-h)) / h**2
    hessian = tangent_hessian(potential, spins)
    assert float(x.reshape(-1) @ hessian @ x.reshape(-1)) == pytest.approx(float(second), rel=1e-4)


def test_instability_is_flagged():
    """E = -a S_x^2 + b S_z^2 at S = y, a saddle: displacements grow at the rate 2 sqrt(a b)."""
    lattice = js.chain(1)
    potential = js.Anisotropy(0.5, (1.0, 0.0, 0.0)) + js.Anisotropy(-0.8, (0.0, 0.0, 1.0))
    saddle = js.textures.ferromagnet(lattice, (0.0, 1.0, 0.0))
    found = spin_waves(potential, saddle)
    assert not found.stable
    assert not found.minimum
    assert float(jnp.max(found.growth)) == pytest.approx(2 * np.sqrt(0.4), rel=1e-9)
    with pytest.raises(ValueError, match=r"grow at the rate 1\.26.*relax it"):
        spin_wave_frequencies(potential, saddle)
    # a maximum precesses, in the other sense, without growing
    top = spin_waves(js.Anisotropy(-0.5), js.textures.ferromagnet(lattice))
    assert top.stable
    assert not top.minimum
    assert float(top.frequencies[0]) == pytest.approx(1.0)


def test_exchange_comes_back(key):
    lattice = js.triangular(3)
    couplings = jax.random.normal(key, (3, 3, 3))
    found = effective_exchange(
        lattice,
        tangent_hessian(js.Exchange(lattice, couplings), js.textures.ferromagnet(lattice)),
        js.textures.ferromagnet(lattice),
    )
    expected = np.zeros((9, 9))
    for number, bond in enumerate(lattice.shell(1)):
        for a in range(3):
            for b in range(3):
                i, j = 3 * a + b, 3 * ((a + bond.offset[0]) % 3) + (b + bond.offset[1]) % 3
                expected[i, j] += couplings[a, b, number]
                expected[j, i] += couplings[a, b, number]
    np.testing.assert_allclose(found, expected, atol=1e-10)


def test_a_matrix_between_sites_by_distance(key):
    """The shells of bonds at random strengths, on a torus and beyond an open edge; around a ring the short way."""
    for lattice in (js.kagome(4), js.triangular(4, 5, periodic=(True, False))):
        # counted from one: zero is what lies beyond an open edge
        number = jnp.arange(1.0, lattice.sites + 1).reshape(lattice.shape)
        couplings, matrix = [], np.zeros((lattice.sites, lattice.sites))
        for place, bond in enumerate(lattice.shell(1)):
            here, there = number[..., bond.start], lattice.translate(number[..., bond.end], bond.offset)
            for i, j in zip(np.ravel(here).astype(int) - 1, np.ravel(there).astype(int) - 1, strict=True):
                if j >= 0:
                    couplings.append(place + i)
                    matrix[i, j] = matrix[j, i] = couplings[-1]
        found = by_distance(lattice, matrix)
        assert found.distance[0] == pytest.approx(lattice.shell(1)[0].length)
        of_bonds = [np.mean(couplings), np.min(couplings), np.max(couplings)]
        np.testing.assert_allclose([found.mean[0], found.least[0], found.greatest[0]], of_bonds)
        assert not np.any(found.greatest[1:])
    ring = by_distance(js.chain(6), np.ones((6, 6)))
    assert ring.distance.tolist() == [1, 2, 3]
    with pytest.raises(ValueError, match="not one between 6 sites; give one row a site"):
        by_distance(js.chain(6), np.ones((3, 3)))


def test_refusals(key):
    lattice = js.chain(4)
    potential = js.Exchange(lattice, 1.0)
    with pytest.raises(ValueError, match=r"does not stay.*relax"):
        tangent_hessian(potential, js.random_spins(lattice, key=key))
    vacant = dilute(js.textures.ferromagnet(lattice), jnp.ones(lattice.shape, bool).at[0].set(False))
    with pytest.raises(ValueError, match="vacancy"):
        spin_waves(potential, vacant)


def test_distances_in_a_long_oblique_cell_are_those_of_the_nearest_image():
    """Against a search through far more images than can be needed."""
    lattice = js.triangular(3, 16)
    found = by_distance(lattice, np.ones((lattice.sites, lattice.sites)))
    vectors, cells = np.array(lattice.vectors), np.array(lattice.cells)
    many = np.array([(n, m) for n in range(-60, 61) for m in range(-3, 4)]) * cells @ vectors
    offsets = np.array([(n, m) for n in range(3) for m in range(16)]) @ vectors
    shortest = np.linalg.norm(offsets[:, None] + many, axis=-1).min(axis=1)
    np.testing.assert_allclose(found.distance, np.unique(shortest.round(6))[1:], atol=1e-6)
