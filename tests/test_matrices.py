"""Electrons and leads given as matrices, against NumPy's formulas for the same matrices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxspin as js
from jaxspin.electrons import MatrixLead, model_of_matrix
from jaxspin.electrons.hoppings import PAULI

N, LEFT, RIGHT = 6, (0, 3), (4, 5)
RANDOM = np.random.default_rng(0)
TEMPERATURE = 0.1


def hermitian(n):
    a = RANDOM.normal(size=(n, n)) + 1j * RANDOM.normal(size=(n, n))
    return (a + a.conj().T) / 2


def retarded(n):
    a = RANDOM.normal(size=(n, n)) + 1j * RANDOM.normal(size=(n, n))
    return 0.3 * hermitian(n) - 0.2j * (a @ a.conj().T)


H, COUPLING = hermitian(N), RANDOM.uniform(0.5, 1.0, N)
FIRST, SECOND = retarded(2), retarded(4)  # for both spins alike, and with spin
SPINS = js.random_spins(js.chain(N, periodic=False), key=jax.random.key(0), dtype=float)


def with_spin(h):
    full = np.kron(h, np.eye(2))
    for i in range(N):
        full[2 * i : 2 * i + 2, 2 * i : 2 * i + 2] -= COUPLING[i] * np.einsum("a,aij->ij", SPINS[i, 0], PAULI)
    return full


def spread(sigma, sites):
    """The self-energy on all orbitals."""
    places = np.array([2 * site + spin for site in sites for spin in range(2)])
    full = np.zeros((2 * N, 2 * N), complex)
    full[np.ix_(places, places)] = sigma if len(sigma) == len(places) else np.kron(sigma, np.eye(2))
    return full


SIGMAS = [spread(FIRST, LEFT), spread(SECOND, RIGHT)]
GAMMAS = [1j * (sigma - sigma.conj().T) for sigma in SIGMAS]


def retarded_at(energies):
    return np.linalg.inv(energies[:, None, None] * np.eye(2 * N) - with_spin(H) - sum(SIGMAS))


def through(energies):
    g = retarded_at(energies)
    return np.einsum("ij,njk,kl,nil->n", GAMMAS[0], g, GAMMAS[1], g.conj()).real


def test_a_matrix_is_the_hamiltonian():
    np.testing.assert_allclose(model_of_matrix(H, COUPLING).dense(SPINS), with_spin(H), atol=1e-14)
    band = np.diag(np.arange(4)) + np.eye(4, k=2) + np.eye(4, k=-2)
    assert [h.bond.offset for h in model_of_matrix(band).hoppings] == [(2,)]


def test_transport_is_that_of_the_matrices():
    """T(E) by its formula, the current by Landauer's integral and the field by that of G<, both on a fine grid."""
    model = model_of_matrix(H, COUPLING)
    bias, occupied = (0.4, -0.3), []
    leads = (MatrixLead("a", FIRST, LEFT, mu=bias[0]), MatrixLead("b", SECOND, RIGHT, mu=bias[1]))
    device = js.GreensFunction(model, leads=leads, temperature=TEMPERATURE, method="dense", tolerance=1e-5)
    some = np.linspace(-2, 2, 3)
    np.testing.assert_allclose(device.transmission(SPINS, jnp.asarray(some)), through(some), atol=1e-12)
    # w = tan(x): the tails of the broadened levels reach far
    angles = (np.arange(8000) + 0.5) / 8000 * np.pi - np.pi / 2
    energies, weights = np.tan(angles), np.pi / 8000 / np.cos(angles) ** 2 / (2 * np.pi)
    g = retarded_at(energies)
    for mu in bias:
        occupied.append(0.5 * (1 - np.tanh((energies - mu) / (2 * TEMPERATURE))))
    current = np.sum(weights * (occupied[0] - occupied[1]) * through(energies))
    assert float(device.current(SPINS)) == pytest.approx(current, abs=2e-5)
    parts = [
        np.einsum("n,nij,jk,nlk->il", weights * f, g, gamma, g.conj())
        for f, gamma in zip(occupied, GAMMAS, strict=True)
    ]
    rho = np.sum(parts, axis=0)
    blocks = rho.reshape(N, 2, N, 2)[np.arange(N), :, np.arange(N), :]
    field = COUPLING[:, None] * np.einsum("cab,nba->nc", PAULI, blocks).real
    np.testing.assert_allclose(device.field(SPINS)[:, 0], field, atol=5e-4)


def test_a_function_of_the_energy_is_taken_at_each():
    """The semi-infinite chain at both ends of a chain: no electron is scattered in the band."""
    z = jnp.asarray([[1.0]])

    def surface(energy):
        root = jnp.sqrt(energy - 2) * jnp.sqrt(energy + 2)
        return (energy - root) / 2 * z.astype(energy.dtype)

    model = model_of_matrix(-np.eye(4, k=1) - np.eye(4, k=-1))
    leads = [MatrixLead("a", surface, [0]), MatrixLead("b", surface, [3])]
    device = js.GreensFunction(model, leads=leads, temperature=0.1, method="dense")
    up = js.textures.ferromagnet(model.lattice)
    np.testing.assert_allclose(device.transmission(up, jnp.array([-1.5, 0.3, 1.0])), 2.0, atol=1e-4)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: model_of_matrix(np.ones((2, 3))), r"shape \(2, 3\) is no square matrix; give \(n, n\)"),
        (lambda: model_of_matrix([[0.0, 1.0], [2.0, 0.0]]), r"off from hermitian by 1; give \(h \+ h"),
        (lambda: model_of_matrix([[np.nan]]), "inf or nan; give finite"),
        (lambda: model_of_matrix(np.eye(3), np.ones(2)), r"does not fit 3 orbitals; give one number or \(3,\)"),
        (lambda: MatrixLead("a", [[-1j]], np.array([0.5])), r"ascending site numbers, got \[0.5\]; give"),
        (lambda: MatrixLead("a", np.eye(2), np.array([1, 0])), r"ascending site numbers, got \[1 0\]; give"),
        (lambda: MatrixLead("a", np.eye(3), [0, 1]), r"shape \(3, 3\) on 2 sites; give \(2, 2\), or \(4, 4\)"),
        (lambda: MatrixLead("a", [[1j]], [0]), "rate -2, which creates electrons; give the retarded one"),
        (
            lambda: js.GreensFunction(
                model_of_matrix(np.eye(3)), leads=[MatrixLead("a", [[-1j]], [3])], temperature=0.1, method="dense"
            ),
            r"sits on \[3\], the device has sites 0 to 2; give some",
        ),
    ],
)
def test_matrices_that_are_none_are_refused(call, match):
    with pytest.raises(ValueError, match=match):
        call()
