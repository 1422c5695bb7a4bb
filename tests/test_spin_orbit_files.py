"""A Hamiltonian with spin-orbit coupling becomes a model whose spins turn: what turns, what stays, and what is lost."""

import jax.numpy as jnp
import numpy as np
import pytest

import jaxspin as js
from jaxspin.electrons.hoppings import PAULI
from tests.helpers import distance

OFFSETS = np.array([[0, 0, 0], [1, 0, 0], [-1, 0, 0], [0, 1, 1], [0, -1, -1]])
AXIS = np.array([2.0, -1.0, 2.0]) / 3
K = np.random.default_rng(0).normal(size=(4, 3))
OWNERS = np.array([0, 0, 1])  # iron with two orbitals, oxygen with one


def hermitian(number, scale):
    """Complex H(R) of three orbitals with H(-R) = H(R)+."""
    rng = np.random.default_rng(number)
    h = scale * (rng.normal(size=(5, 3, 3)) + 1j * rng.normal(size=(5, 3, 3)))
    return (h + h[[0, 2, 1, 4, 3]].conj().swapaxes(1, 2)) / 2


def magnet(*, across=0.0, currents=0.0, axis=AXIS):
    """Real hoppings, spin-orbit coupling, and a real splitting along the axis, which iron alone has on its atom."""
    splitting = hermitian(5, 0.05).real
    splitting[0, :2, :2] -= np.eye(2)
    splitting[:, 2, 2] = 0
    other = hermitian(6, across).real
    perpendicular = np.cross(axis, [0.0, 0.0, 1.0])
    pauli = [hermitian(1, 0.5).real + 1j * hermitian(7, currents).imag]
    for c in range(3):
        pauli.append(1j * hermitian(2 + c, 0.2).imag + axis[c] * splitting + perpendicular[c] * other)
    up, down = pauli[0] + pauli[3], pauli[0] - pauli[3]
    positions = np.array([[0.0, 0, 0], [1.0, 1.0, 1.0]])
    mixing = pauli[1] - 1j * pauli[2]
    given = OFFSETS, up, down, ("Fe", "O"), positions, positions[OWNERS], OWNERS, mixing
    return js.io.WannierHamiltonian(2 * np.eye(3), *given)


def levels(model, axis):
    return jnp.linalg.eigvalsh(model.bloch(jnp.asarray(np.reshape(axis, (1, 1, 1, 1, 3))), jnp.asarray(K)))


def test_spins_along_the_axis_have_the_bands_of_the_file():
    found = magnet()
    np.testing.assert_allclose(found.magnetic_axis(), AXIS, atol=1e-12)
    assert found.magnetic_atoms() == (0,)
    model = js.OrbitalModel.from_wannier(found)
    assert (model.owners, model.hopping.shape, model.split is None) == ((0, 0, None), (5, 6, 6), False)
    np.testing.assert_allclose(levels(model, AXIS), found.bands(K)[0], atol=1e-12)
    # turned over it is the time-reversed magnet, which has the levels of k at -k
    np.testing.assert_allclose(levels(model, -AXIS), found.bands(-K)[0], atol=1e-12)
    assert distance(levels(model, -AXIS), found.bands(K)[0]) > 1e-2
    # spin-orbit coupling stays: another axis is another energy
    assert distance(levels(model, [0.0, 0.0, 1.0]), found.bands(K)[0]) > 1e-2
    # without spins nothing tells a spin from its reverse
    even = np.asarray(model.hopping).reshape(5, 3, 2, 3, 2)
    turned = np.einsum("st,ratbv,vu->rasbu", PAULI[1], even.conj(), PAULI[1])
    np.testing.assert_allclose(turned, even, atol=1e-14)
    given = js.OrbitalModel.from_wannier(found, axis=3 * AXIS)
    assert distance(given.exchange, model.exchange) < 1e-12
    flat = js.OrbitalModel.from_wannier(found, split=False)
    assert flat.split is None


def test_along_z_it_is_the_collinear_magnet():
    """Without spin-orbit coupling the parts are those of two files."""
    one = magnet(axis=np.array([0.0, 0.0, 1.0]))
    up, down = one.up.real.astype(complex), one.down.real.astype(complex)
    given = one.names, one.positions, one.centres, one.owners
    both = js.io.WannierHamiltonian(one.cell, OFFSETS, up, down, *given)
    spinors = js.io.WannierHamiltonian(one.cell, OFFSETS, up, down, *given, np.zeros_like(up))
    expected, found = both.model_parts(), spinors.model_parts()
    np.testing.assert_allclose(found.exchange, expected.exchange, atol=1e-14)
    np.testing.assert_allclose(found.split, expected.split, atol=1e-14)
    np.testing.assert_allclose(found.hopping, np.kron(expected.hopping, np.eye(2)), atol=1e-14)
    np.testing.assert_allclose(spinors.onsite_splitting(0), both.onsite_splitting(0), atol=1e-14)
    with pytest.raises(ValueError, match="all axes are alike; leave out axis="):
        js.OrbitalModel.from_wannier(both, axis=(1.0, 0.0, 0.0))


def test_an_antiferromagnet_has_an_axis():
    found = magnet()
    swapped = js.io.WannierHamiltonian(
        found.cell, OFFSETS, *(np.kron(np.eye(2), h) for h in (found.up, found.down)),
        ("Fe", "Mn"), found.positions, found.centres[[0, 0, 1] * 2], np.array([0, 0, 0, 1, 1, 1]),
        np.kron(np.eye(2), found.mixing),
    )  # fmt: skip
    pauli = swapped.pauli()
    pauli[1:, :, 3:, 3:] = -pauli[1:, :, 3:, 3:].real + 1j * pauli[1:, :, 3:, 3:].imag
    spins = pauli[0] + pauli[3], pauli[0] - pauli[3]
    given = swapped.names, swapped.positions, swapped.centres, swapped.owners
    found = js.io.WannierHamiltonian(swapped.cell, OFFSETS, *spins, *given, pauli[1] - 1j * pauli[2])
    np.testing.assert_allclose(found.magnetic_axis(), AXIS, atol=1e-12)
    with pytest.warns(UserWarning, match=r"on Mn \(-2 eV\): their spins point against .* along \[0\.667, -0\.333"):
        js.OrbitalModel.from_wannier(found)


def test_what_is_left_out_is_told_with_its_size():
    with pytest.warns(UserWarning, match=r"up to 0\.\d+ eV of splitting across \[.*\] and 0 eV of .* axis="):
        js.OrbitalModel.from_wannier(magnet(across=0.05))
    found = magnet(currents=0.05)
    largest = np.max(np.abs(hermitian(7, 0.05).imag))
    assert abs(found.model_parts().currents - largest) < 1e-14
    with pytest.warns(UserWarning, match=rf"and {largest:.2g} eV of spin-independent currents"):
        model = js.OrbitalModel.from_wannier(found)
    moved = distance(levels(model, AXIS), found.bands(K)[0])
    assert 0 < moved < 5 * 3 * largest
    with pytest.warns(UserWarning, match=r"negative trace on Fe \(-2 eV\): give axis= turned over"):
        js.OrbitalModel.from_wannier(magnet(), axis=-AXIS)
    for wrong in ({"across": 0.5}, {"currents": 0.5}):
        with pytest.raises(ValueError, match=r"does not separate .* are \d.* of what splits\. Give the axis"):
            js.OrbitalModel.from_wannier(magnet(**wrong))
    with pytest.raises(ValueError, match=r"does not separate .*axis=.*take its parts from pauli"):
        js.OrbitalModel.from_wannier(magnet(), axis=np.cross(AXIS, [1.0, 0.0, 0.0]))
    with pytest.raises(ValueError, match=r"axis = \(0, 0\) is no direction; give three numbers"):
        js.OrbitalModel.from_wannier(magnet(), axis=(0, 0))
