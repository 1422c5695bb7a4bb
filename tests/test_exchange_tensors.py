"""Exchange tensors from electrons with spin-orbit coupling: Hessians, symmetries, powers of the strength, files."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxspin as js
from jaxspin.electrons.hoppings import PAULI
from jaxspin.observables import ExchangeTensors, exchange_couplings, exchange_tensors
from jaxspin.spins import rotation_matrix
from tests.helpers import distance

TEMPERATURE, MU, POINTS = 0.4, -0.3, 3
CELL = js.chain(2)
OFFSETS = [(0,), (1,), (-1,)]
AXIS = np.array([2.0, -1.0, 2.0]) / 3


def hermitian(rng, n, scale=1.0, *, real=False):
    """A matrix on an atom, and the hoppings to the next one and back."""
    here, there = (scale * (rng.normal(size=(n, n)) + 1j * (not real) * rng.normal(size=(n, n))) for _ in range(2))
    return np.stack([(here + here.conj().T) / 2, there, there.conj().T]).astype(complex)


def two_orbitals(hopping, lattice=CELL, **kind):
    """Two orbitals an atom with spinors that hop, and splittings on the atoms and between them."""
    rng = np.random.default_rng(3)
    exchange = np.eye(2) + hermitian(rng, 2, 0.2, **kind)[0]
    split = hermitian(rng, 2, 0.2, **kind)
    split[0] = 0
    return js.OrbitalModel(lattice, (0, 0), OFFSETS, hopping, exchange, split=split)


def bloch(model, points=POINTS):
    solver = js.ExactDiagonalization(model, temperature=TEMPERATURE, chemical_potential=MU)
    return js.electrons.BlochDiagonalization(solver, points=points)


def found(hopping, axis=AXIS, kind=None, **more):
    spins = jnp.asarray(np.outer([1.0, -1.0], axis).reshape(2, 1, 3))
    return exchange_tensors(bloch(two_orbitals(hopping, **(kind or {}))), spins, frequencies=16, **more)


def spinor_hoppings(scale=0.4):
    return hermitian(np.random.default_rng(1), 4, scale)


def in_order(tensors):
    """Sites in the order of the ring, `(6, 3, 3)` seen from the first."""
    return np.asarray(tensors.couplings)[:, 0].reshape(2 * POINTS, 3, 3)


def test_the_hessian_of_the_repeated_lattice():
    """d^2 Omega by the spins, as the energy itself has it, for the texture along each of three axes."""
    ring = js.chain(2 * POINTS)
    large = js.ExactDiagonalization(
        two_orbitals(spinor_hoppings(), ring), temperature=TEMPERATURE, chemical_potential=MU
    )

    @jax.jit
    def second(spins):
        """Of the first spin and all others."""
        slope = jax.grad(lambda first, others: large.energy(others.at[0, 0].add(first)))
        return jax.jacrev(slope, argnums=1)(jnp.zeros(3), spins)

    expected, one, three = [], found(spinor_hoppings(), whole=False), found(spinor_hoppings())
    axes = np.stack([AXIS, *np.linalg.svd(np.eye(3) - np.outer(AXIS, AXIS))[0].T[:2]])
    second_axis = np.cross(AXIS, [0.0, 1.0, 0.0])
    axes[1] = second_axis / np.linalg.norm(second_axis)
    axes[2] = np.cross(axes[0], axes[1])
    for axis in axes:
        spins = np.outer(np.tile([1.0, -1.0], POINTS), axis).reshape((*ring.shape, 3))
        across = np.eye(3) - np.outer(axis, axis)
        row = -np.asarray(second(jnp.asarray(spins)))[:, :, 0].transpose(1, 0, 2) / 2
        expected.append(across @ row @ across)
    plain = in_order(one)[1:]
    across = np.eye(3) - np.outer(AXIS, AXIS)
    np.testing.assert_allclose(across @ plain @ across, expected[0][1:], atol=1e-9)
    # what is completed: the mean of the two axes across, along the axis
    mean = np.trace(expected[0], axis1=1, axis2=2) / 2
    np.testing.assert_allclose(plain @ AXIS, mean[1:, None] * AXIS, atol=1e-9)
    assert one.disagreement is None
    # three axes: elements of their frame, those on the diagonal known twice
    frame = np.einsum("ap,cspq,bq->csab", axes, expected, axes)
    whole = np.sum(frame, 0) * (1 - np.eye(3) / 2)
    np.testing.assert_allclose(np.einsum("ap,spq,bq->sab", axes, in_order(three), axes)[1:], whole[1:], atol=1e-9)
    apart = np.abs([frame[1, :, 0, 0] - frame[2, :, 0, 0], frame[2, :, 1, 1] - frame[0, :, 1, 1]])
    apart = np.concatenate([apart, [np.abs(frame[0, :, 2, 2] - frame[1, :, 2, 2])]])[:, 1:]
    np.testing.assert_allclose(three.disagreement, apart.max(), atol=1e-9)
    assert three.disagreement > 1e-2
    assert not in_order(three)[0].any()
    # both ends of a pair
    back = np.asarray(three.couplings)[[0, 2, 1]].swapaxes(1, 2).swapaxes(3, 4)
    np.testing.assert_allclose(three.couplings, back, atol=1e-15)
    assert (three.signs, three.axis.round(6).tolist()) == ((1, -1), AXIS.round(6).tolist())


def test_without_spin_orbit_coupling_it_is_the_isotropic_exchange():
    """All real: imaginary hoppings are currents, and a scalar chirality of three spins acts like D on two."""
    kind = {"real": True}
    hopping = hermitian(np.random.default_rng(2), 2, **kind)
    tensors = found(np.kron(hopping, np.eye(2)), kind=kind)
    neel = jnp.asarray(np.outer([1.0, -1.0], [0.0, 0.0, 1.0]).reshape(2, 1, 3))
    plain = exchange_couplings(bloch(two_orbitals(hopping, **kind)), neel, frequencies=16)
    expected = np.asarray(plain.couplings)[..., None, None] * np.eye(3)
    np.testing.assert_allclose(tensors.couplings, expected, atol=1e-12)
    np.testing.assert_allclose(tensors.moments, plain.moments, atol=1e-12)
    np.testing.assert_allclose(tensors.isotropic().couplings, plain.couplings, atol=1e-12)
    assert tensors.signs == plain.signs
    assert np.max(np.abs(plain.couplings)) > 1e-2
    assert max(np.max(np.abs(tensors.dzyaloshinskii_moriya())), np.max(np.abs(tensors.anisotropic()))) < 1e-12
    assert tensors.disagreement < 1e-12


def test_spins_and_spin_orbit_coupling_turned_together():
    turn = np.array([0.3, -1.1, 0.7])
    angle = np.linalg.norm(turn)
    matrix = np.asarray(rotation_matrix(turn, angle))
    spinor = np.cos(angle / 2) * np.eye(2) - 1j * np.sin(angle / 2) * np.einsum("c,cab->ab", turn / angle, PAULI)
    spinor = np.kron(np.eye(2), spinor)
    one = found(spinor_hoppings(), whole=False)
    other = found(spinor @ spinor_hoppings() @ spinor.conj().T, matrix @ AXIS, whole=False)
    np.testing.assert_allclose(other.couplings, matrix @ np.asarray(one.couplings) @ matrix.T, atol=1e-12)
    assert distance(one.couplings, other.couplings) > 1e-2


def test_a_pair_with_a_centre_of_inversion_has_no_antisymmetric_part():
    """p orbitals with spin-orbit coupling on the atoms, at right angles and along a chain."""
    along = np.stack([np.diag([0.0, 0.3]), np.diag([-1.0, 0.5]), np.diag([-1.0, 0.5])])
    hopping = np.kron(along, np.eye(2)).astype(complex)
    hopping[0] += 0.5 * np.kron([[0, -1j], [1j, 0]], PAULI[2])
    model = js.OrbitalModel(CELL, (0, 0), OFFSETS, hopping, np.eye(2), split=np.zeros((3, 2, 2), complex))
    tensors = exchange_tensors(bloch(model), js.textures.neel(CELL), frequencies=16)
    assert np.max(np.abs(tensors.dzyaloshinskii_moriya())) < 1e-13
    assert np.max(np.abs(tensors.anisotropic())) > 1e-3


UP = jnp.array([[[[0.0, 0.0, 1.0]]]])


def rashba_square(strength):
    cell = js.square(1)
    hoppings = (*js.electrons.kinetic(cell, 1.0), *js.electrons.rashba(cell, strength))
    return exchange_tensors(bloch(js.SDModel(cell, hoppings, 2.0)), UP, frequencies=12)


def test_rashba_coupling_on_the_square_lattice():
    """D along z x r by Moriya's rules; D linear in the strength, anisotropy quadratic; and its derivative."""

    def parts(strength):
        tensors = rashba_square(strength)
        return tensors.dzyaloshinskii_moriya()[:, :, 0, 0], tensors.anisotropic()[:, :, 0, 0], tensors.couplings

    both = jax.jit(lambda x: jax.jvp(parts, (x,), (jnp.ones_like(x),)))
    (weak, small, _), _ = both(jnp.asarray(0.01))
    (strong, large, _), slopes = both(jnp.asarray(0.02))
    for r, direction in (((1, 0), [0.0, 1.0, 0.0]), ((0, 1), [-1.0, 0.0, 0.0]), ((1, 1), [-1.0, 1.0, 0.0])):
        vector = np.asarray(strong[r])
        assert np.linalg.norm(np.cross(vector, direction)) < 1e-12 < 1e-4 < np.linalg.norm(vector)
        np.testing.assert_allclose(strong[r], -strong[tuple(-n for n in r)], atol=1e-14)
    assert distance(strong, 2 * weak) < 2e-3 * np.max(np.abs(strong))
    assert distance(large, 4 * small) < 2e-3 * np.max(np.abs(large))
    assert np.max(np.abs(large)) > 1e-6
    step = 1e-4
    (_, _, above), _ = both(jnp.asarray(0.02 + step))
    (_, _, below), _ = both(jnp.asarray(0.02 - step))
    np.testing.assert_allclose(slopes[2], (above - below) / (2 * step), atol=1e-7)
    assert np.max(np.abs(slopes[2])) > 1e-2


# --- what is done with them -----------------------------------------------------------------------------------------


def by_hand():
    """Of a chain of two atoms, each pair with a matrix of its own."""
    matrices = np.random.default_rng(4).normal(size=(5, 2, 2, 3, 3))
    matrices[0, [0, 1], [0, 1]] = 0
    back = matrices[-np.arange(5)].swapaxes(1, 2).swapaxes(3, 4)
    return ExchangeTensors(
        js.Lattice("pair", [[3.0]], [[0.0], [1.2]], (5,), (True,)),
        (matrices + back) / 2,
        signs=(1, -1),
        moments=(2.0, 1.0),
        axis=(1.0, 0.0, 0.0),
    )


def test_pairs_are_the_energy_of_the_classical_exchange():
    tensors = by_hand()
    with pytest.warns(UserWarning, match="beyond half the mesh"):
        listed = tensors.pairs(8.0)
    assert len(listed) == 10 * 9 // 2 // 5
    spins = js.random_spins(tensors.lattice, key=jax.random.key(0)).astype(float)
    ring = spins.reshape(5, 2, 3)
    total = sum(-jnp.einsum("rap,abpq,rbq", ring, tensors.couplings[r], jnp.roll(ring, -r, 0)) for r in range(5))
    assert abs(js.Exchange(tensors.lattice, pairs=listed).energy(spins) - total) < 1e-12
    near = tensors.pairs(2.0)
    assert near[0][:3] == (1, 0, (0,))
    np.testing.assert_allclose(near[0][3], 2 * tensors.between(1, 0, (0,)))
    np.testing.assert_allclose(tensors.between(0, 1, (0,)), tensors.couplings[0, 0, 1])
    parts = np.asarray(tensors.isotropic().couplings)[..., None, None] * np.eye(3) + tensors.anisotropic()
    whole = parts + np.einsum("abc,...c->...ab", js.io.exchange.LEVI_CIVITA, tensors.dzyaloshinskii_moriya())
    np.testing.assert_allclose(whole, tensors.couplings, atol=1e-14)


def test_files_of_other_programs(tmp_path):
    tensors, units = by_hand(), js.units.Units("eV", length=2.0)
    pairs = tensors.for_files(4.0, units, names=("Fe", "Co"))
    assert pairs.moments.tolist() == [[2.0, 0.0, 0.0], [-1.0, 0.0, 0.0]]
    np.testing.assert_allclose(pairs.cell, np.diag([6.0, 10.0, 10.0]))
    np.testing.assert_allclose(pairs.positions[1], [2.4, 0.0, 0.0])
    near = int(np.argmin(np.linalg.norm(pairs.vectors(), axis=1)))
    i, j, r = int(pairs.starts[near]), int(pairs.ends[near]), int(pairs.offsets[near, 0])
    np.testing.assert_allclose(pairs.matrices[near], 2000 * np.asarray(tensors.between(i, j, (r,))))
    lines = js.io.save_vampire(tmp_path / "pair.ucf", pairs).read_text().splitlines()
    assert lines[-2 * len(pairs.starts) - 1].endswith("tensorial")
    assert (js.io.save_uppasd(tmp_path / "uppasd", pairs) / "dmfile").exists()
    with pytest.raises(ValueError, match="which Spirit has not"):
        js.io.save_spirit(tmp_path / "whole.cfg", pairs)
    without = tensors.for_files(4.0, units, anisotropic=False)
    np.testing.assert_allclose(without.dzyaloshinskii_moriya(), pairs.dzyaloshinskii_moriya())
    assert js.io.save_spirit(tmp_path / "without.cfg", without).exists()
    # the isotropic part alone, along z
    plain = tensors.isotropic().for_files(4.0, units)
    assert (plain.names, plain.moments[1].tolist()) == (("pair1", "pair2"), [0.0, 0.0, -1.0])
    np.testing.assert_allclose(plain.isotropic(), pairs.isotropic())
    assert "heisenberg_pairs" in js.io.save_spirit(tmp_path / "pair.cfg", plain).read_text()
    with pytest.raises(ValueError, match=r"names = \('Fe',\) are not those of 2 sites; give one for each"):
        tensors.for_files(4.0, units, names=("Fe",))


def test_magnons_of_the_pairs():
    """A ferromagnetic chain with D along the spins: w = 4 (J(0) - J(q)) is shifted by D sin q, in a ring's waves."""
    ring, d = js.chain(8), 0.3
    matrix = np.eye(3) + d * js.io.exchange.LEVI_CIVITA[:, :, 2]
    couplings = np.zeros((8, 1, 1, 3, 3))
    couplings[1, 0, 0], couplings[-1, 0, 0] = matrix / 2, matrix.T / 2
    tensors = ExchangeTensors(ring, couplings)
    exchange = js.Exchange(ring, pairs=tensors.pairs(1.0)) + js.Anisotropy(1.0)
    waves = js.observables.spin_wave_frequencies(exchange, js.textures.ferromagnet(ring, dtype=float))
    q = 2 * np.pi * np.arange(8) / 8
    np.testing.assert_allclose(waves, np.sort(2 * (1 - np.cos(q)) - 2 * d * np.sin(q) + 2.0), atol=1e-9)


def test_what_it_refuses():
    cell = js.square(1)
    electrons = bloch(js.SDModel(cell))
    up = js.textures.ferromagnet(cell)
    with pytest.raises(TypeError, match="has no wavevectors; give the magnetic cell by BlochDiagonalization"):
        exchange_tensors(electrons.solver, up)
    with pytest.raises(ValueError, match="not along one axis; take a collinear texture, or tangent_hessian"):
        exchange_tensors(bloch(js.SDModel(CELL)), jnp.array([[[0.0, 0.0, 1.0]], [[0.6, 0.0, 0.8]]]))
    with pytest.raises(ValueError, match="there is a vacancy"):
        exchange_tensors(bloch(js.SDModel(CELL)), jnp.array([[[0.0, 0.0, 1.0]], [[0.0, 0.0, 0.0]]]))
    with pytest.raises(ValueError, match="close over spins"):
        jax.jit(lambda spins: exchange_tensors(electrons, spins).couplings)(up)
    with pytest.raises(ValueError, match=r"couplings of shape \(4, 1, 1\) does not fit; give \(4, 1, 1, 3, 3\)"):
        ExchangeTensors(js.chain(4), np.zeros((4, 1, 1)))
    with pytest.raises(ValueError, match="sites 0 and 1 are not both in the cell; count them from 0 to 0"):
        ExchangeTensors(js.chain(4), np.zeros((4, 1, 1, 3, 3))).between(0, 1, (0,))
    with pytest.raises(ValueError, match="give 1 or -1 for each"):
        ExchangeTensors(js.chain(4), np.zeros((4, 1, 1, 3, 3)), signs=(2,))
