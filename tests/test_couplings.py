"""Couplings, lattices and textures given wrongly: converted where it is plain what is meant, else refused."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxspin import textures
from jaxspin.classical import (
    Anisotropy,
    CubicAnisotropy,
    DipoleDipole,
    DzyaloshinskiiMoriya,
    Exchange,
    UniaxialAnisotropy,
    Zeeman,
    ZeemanPulse,
)
from jaxspin.classical.profiles import Constant, Exponential, Quench, Ramp
from jaxspin.couplings import at_least, numeric, real, scalar
from jaxspin.electrons import ExactDiagonalization, Hopping, KernelPolynomial, SDModel, WideBand
from jaxspin.electrons.hoppings import kinetic
from jaxspin.lattice import Lattice, chain, honeycomb, kagome, square, triangular
from jaxspin.observables import elementary_triangles
from jaxspin.spins import normalize, random_spins
from jaxspin.sweeps import grid
from jaxspin.symmetry import point_group
from jaxspin.torques import SpinOrbitTorque, SpinTransferTorque

LATTICE = square(4)


def typed(height, *basis, **more):
    """A triangular Bravais lattice as someone types it."""
    return Lattice("typed", [[1, 0], [0.5, height]], [[0, 0], *basis], [6, 6], [True, True], **more)


@pytest.mark.parametrize("digits", range(3, 8))
def test_typed_coordinates_keep_their_shells(digits):
    height = round(3**0.5 / 2, digits)
    lattices = [typed(height), typed(height, [0.5, round(3**0.5 / 6, digits)])]
    lattices.append(typed(height, [0.5, 0.0], [0.25, round(3**0.5 / 4, digits)]))
    for lattice, exact in zip(lattices, (triangular(6), honeycomb(6), kagome(6)), strict=True):
        for number in range(1, 6):
            found, right = lattice.shell(number), exact.shell(number)
            assert sorted((b.start, b.end, b.offset) for b in found) == sorted(
                (b.start, b.end, b.offset) for b in right
            )
            length = right[0].length
            ends = [len(x.neighbors(length, s)) for x in (lattice, exact) for s in range(x.sublattices)]
            assert ends[: len(ends) // 2] == ends[len(ends) // 2 :]
    assert float(Exchange(lattices[0], 1.0).energy(textures.ferromagnet(lattices[0]))) == -3.0 * 36
    assert abs(lattices[0].shell(2)[0].length - 3**0.5) < 1e-3
    assert elementary_triangles(lattices[0]) == elementary_triangles(triangular(6))


def test_shells_that_nearly_meet_are_told():
    with pytest.warns(UserWarning, match=r"shells 1 and 2 of the typed lattice.*tolerance 0\.001.*3\*\*0\.5 / 2"):
        assert len(typed(0.87).shell(1)) == 1
    assert len(typed(0.87, tolerance=0.01).shell(1)) == 3
    assert len(typed(0.866, tolerance=1e-7).shell(1)) == 2
    with pytest.raises(ValueError, match=r"tolerance is a share of a length, got 0\.5; 0\.001 is usual"):
        typed(0.866, tolerance=0.5)


def test_lost_rotations_are_told():
    with pytest.warns(UserWarning, match=r"4 rotations.*but 12 to within 0\.001.*type all of them"):
        assert point_group(typed(0.866)).name == "D2"


def test_a_lattice_of_lists_is_one_of_tuples_and_nonsense_fails_at_once():
    made = Lattice("square", [[1, 0], [0, 1]], np.zeros((1, 2)), [4, 4], [True, True])
    assert made == LATTICE
    assert hash(made) == hash(LATTICE)
    for change, text in (
        (
            {"vectors": [1.0, 2.0]},
            r"vectors = \[1\.0, 2\.0\] is not what a Lattice takes; give one row of numbers each",
        ),
        ({"cells": 4}, "cells = 4 is not what a Lattice takes; give one integer an axis"),
        ({"cells": [4, 4.5]}, "give one integer an axis"),
        ({"periodic": True}, "give one bool an axis"),
        ({"vectors": [[1, 0], [2, 0]]}, "span no cell; give 2 that are linearly independent"),
        ({"basis": [[0, 0], [1, 1]]}, "sublattices 0 and 1 lie in one place"),
    ):
        given = {"vectors": [[1, 0], [0, 1]], "basis": [[0, 0]], "cells": [4, 4], "periodic": [True, True]}
        with pytest.raises(ValueError, match=text):
            Lattice("mine", **(given | change))


def test_short_axes_wrap_bonds_onto_themselves():
    """The energy is that of the texture repeated, and the lattice says where its bonds meet."""
    for cells in (1, 2, 3):
        ring = chain(cells)
        assert ring.wraps_onto_itself(1.0) == (cells < 3)
        assert float(Exchange(ring, 1.0).energy(textures.ferromagnet(ring))) == -float(cells)
        assert not chain(cells, periodic=False).wraps_onto_itself(1.0)
    assert kagome(1).wraps_onto_itself(0.5)
    assert not kagome(2).wraps_onto_itself(0.5)
    assert LATTICE.wraps_onto_itself(2.0)


def test_a_bond_and_its_reverse_are_refused():
    ring = chain(8)
    both = [Hopping(bond, 1.0) for bond in ring.neighbors(1.0)]
    with pytest.raises(ValueError, match=r"given in both directions.*as lattice\.shell\(nth\) lists them"):
        SDModel(ring, both, 0.0)
    assert np.isclose(np.linalg.eigvalsh(SDModel(ring, both[:1], 0.0).dense(textures.ferromagnet(ring))).min(), -2)
    SDModel(ring, (*kinetic(ring, 1.0), Hopping(ring.shell(1)[0], 0.1, np.diag([1, -1]))))  # two terms on one bond
    with pytest.raises(ValueError, match="joins a site to itself; energies of sites are SDModel"):
        Hopping(ring.shell(1)[0]._replace(offset=(0,)), 1.0)
    with pytest.raises(ValueError, match=r"spin matrix of a hopping is \(2, 2\)"):
        Hopping(ring.shell(1)[0], 1.0, np.eye(3))


def test_integers_have_derivatives(key):
    spins = random_spins(LATTICE, key=key)
    terms = [Exchange(LATTICE, 1), DzyaloshinskiiMoriya(LATTICE, 1), Anisotropy(1), Zeeman((0, 0, 1))]
    terms += [
        Exchange(LATTICE, pairs=[(0, 0, (1, 0), 1)]),
        Exchange(LATTICE, pairs=[(0, 0, (1, 0), np.eye(3, dtype=int))]),
    ]
    terms += [CubicAnisotropy(1, 2, axes=np.eye(3, dtype=int)), UniaxialAnisotropy(1, 2, 3, 4, axis=(0, 0, 1))]
    terms += [DipoleDipole(LATTICE, 1, 2)]
    terms += [SpinOrbitTorque((0, 0, 1), 1, 1), SpinTransferTorque(LATTICE, (1, 0), 1)]
    model = SDModel(LATTICE, 1, 1, potential=np.ones(LATTICE.shape, int))
    terms += [ExactDiagonalization(model, filling=1, temperature=1), WideBand("left", 1, mu=1, temperature=1)]
    for term in terms:
        for leaf in jax.tree.leaves(term):
            assert jnp.issubdtype(leaf.dtype, jnp.floating), (type(term).__name__, leaf)
    assert eqx.filter_grad(lambda term: term.energy(spins))(terms[0]).couplings[0] is not None
    for leaf in jax.tree.leaves([Ramp(1, 0, 10), Quench(1, 0), Exponential(1, 0, 2), Constant(1)]):
        assert jnp.issubdtype(leaf.dtype, jnp.floating)


def test_complex_and_other_nonsense_is_refused():
    for make in (
        lambda: SDModel(LATTICE, 1.0, 1j),
        lambda: SDModel(LATTICE, 1.0, 1.0, potential=1j * np.ones(LATTICE.shape)),
        lambda: Exchange(LATTICE, 1j),
        lambda: Anisotropy(1j),
        lambda: SpinOrbitTorque(np.array([0, 0, 1j])),
        lambda: ExactDiagonalization(SDModel(LATTICE), chemical_potential=1j),
        lambda: WideBand("left", 1j),
        lambda: Ramp(1j, 0.0, 1.0),
    ):
        with pytest.raises(ValueError, match=r"complex.*pass its \.real"):
            make()
    assert SDModel(LATTICE, 1j, 1.0).hoppings[0].amplitude == 1j
    for value in ("a", None, object()):
        with pytest.raises(ValueError, match="no number"):
            real(value)
    with pytest.raises(ValueError, match=r"mu of shape \(2,\) is not one number.*jax\.vmap"):
        scalar([1.0, 2.0], "mu")
    assert numeric(1j).dtype == complex


@pytest.mark.parametrize("solver", [ExactDiagonalization, KernelPolynomial])
@pytest.mark.parametrize("name", ["filling", "chemical_potential", "temperature"])
def test_solvers_take_one_number_each(solver, name):
    given = {"chemical_potential": 0.1, "temperature": 0.5} if name != "filling" else {"temperature": 0.5}
    with pytest.raises(ValueError, match=rf"{name} of shape \(2,\) is not one number; give one.*jax\.vmap"):
        solver(SDModel(LATTICE), **(given | {name: jnp.asarray([0.2, 0.3])}))


def test_models_move_to_their_own_kind_only():
    model = SDModel(LATTICE, 1.0, 2.0)
    imposter = Lattice("square", triangular(4).vectors, ((0.0, 0.0),), (6, 6), (True, True))
    for thing in (model, Exchange(LATTICE, 1.0), SpinTransferTorque(LATTICE, (1.0, 0.0)), 2.0 * Exchange(LATTICE, 1.0)):
        with pytest.raises(ValueError, match=r"is not of the kind of the square lattice.*use lattice\.resize"):
            thing.on(imposter)
        assert thing.on(square(6, 8, periodic=False)).lattice.cells == (6, 8)
    with pytest.raises(ValueError, match="only uniform couplings move"):
        Exchange(LATTICE, np.ones((4, 4, 2))).on(square(6))
    each, other = np.ones((*LATTICE.shape, 3)), square(6)
    for make in (Zeeman, SpinOrbitTorque, lambda h: Anisotropy(1.0, h), lambda h: ZeemanPulse(h, Constant(1.0))):
        assert make((0.0, 0.0, 1.0)).on(other) is not None
        with pytest.raises(ValueError, match="only uniform couplings move"):
            make(each).on(other)
    assert (Exchange(LATTICE, 1.0) + Zeeman((0.0, 0.0, 1.0))).on(other).lattice == other
    with pytest.raises(ValueError, match="no site is occupied"):
        SDModel(LATTICE, occupied=np.zeros(LATTICE.shape, bool))


def test_spirals_typed_with_few_digits_close_and_suggestions_are_taken():
    ring = chain(60)
    exact = textures.spiral(ring, (2 * np.pi * 9 / 60,))
    np.testing.assert_array_equal(textures.spiral(ring, (0.942478,)), exact)
    with pytest.raises(ValueError, match=r"use \(") as refused:
        textures.spiral(ring, (0.96,))
    suggestion = str(refused.value).split("use (")[1].split(",)")[0]
    np.testing.assert_allclose(textures.spiral(ring, (float(suggestion),)), exact, atol=1e-12)
    for value in (0.012345, 0.7071067811865475, 3.0, 99.51, 1e-9, 1.2000001):
        for digits in (2, 4):
            assert value <= float(at_least(value, digits)) < value * (1 + 10.0 ** (1 - digits))


def test_textures_and_schedules_of_negative_sizes_are_refused():
    for make, text in (
        (lambda: textures.skyrmion(square(12), -2), r"radius = -2 of a skyrmion must be positive.*polarity"),
        (lambda: textures.skyrmion(square(12), 2.0, width=0), "width = 0 of a skyrmion must be positive"),
        (lambda: textures.domain_wall(chain(9, periodic=False), width=-1.0), "width = -1.0 of a wall must be positive"),
        (lambda: Ramp(0.1, float("inf"), 5.0), "final = inf is not finite"),
        (lambda: Ramp(0.1, 0.0, -5.0), r"duration = -5\.0 runs backwards"),
        (lambda: Quench(float("nan"), 0.1), "initial = nan is not finite"),
        (lambda: Exponential(0.1, 0.0, -1.0), r"decay_time = -1\.0 runs backwards"),
    ):
        with pytest.raises(ValueError, match=text):
            make()


def test_lengths_of_any_size_are_normalized():
    sizes = np.array([0, 1e-37, 1e-23, 1e-19, 1.0, 2e19, 3e38], np.float32)
    vectors = jnp.asarray(sizes[:, None] * np.array([[0.6, 0.0, -0.8]], np.float32))
    expected = np.where(sizes[:, None] > 0, np.array([[0.6, 0.0, -0.8]]), 0)
    np.testing.assert_allclose(normalize(vectors), expected, atol=1e-6)
    ordinary = jax.random.normal(jax.random.key(0), (20, 3), jnp.float32)
    slope = jax.grad(lambda a: jnp.sum(normalize(a)[:, 0]))
    np.testing.assert_allclose(slope(1e-22 * ordinary) * 1e-22, slope(ordinary), atol=1e-5)


def test_points_of_a_sweep_that_single_precision_cannot_tell_are_refused():
    values = [1.0, 1.0 + 1e-9]
    assert len(grid(coupling=values)) == 2
    with jax.enable_x64(False), pytest.raises(ValueError, match=r"than float32 can tell, and would run twice"):
        grid(coupling=values)
